// Go's x/net/http2: POSTs that are refused early, each followed by a GET.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

type heard struct {
	Status     int    `json:"status,omitempty"`
	Code       string `json:"code"`
	RetryAfter string `json:"retry_after"`
	Version    string `json:"version"`
	Error      string `json:"error,omitempty"`
	Next       int    `json:"next"`
}

func ask(client *http.Client, method, url, key string, body []byte) (h heard) {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header.Set("x-api-key", key)
	answer, err := client.Do(request)
	if err != nil {
		h.Error = err.Error()
		return
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		h.Error = err.Error()
		return
	}
	var problem struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal(text, &problem)
	version := fmt.Sprint(answer.ProtoMajor)
	return heard{Status: answer.StatusCode, Code: problem.Code, RetryAfter: answer.Header.Get("retry-after"), Version: version}
}

func main() {
	base, key := os.Args[1], os.Args[3]
	pem, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http2.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	rows, err := os.ReadFile(os.Args[4])
	if err != nil {
		panic(err)
	}
	ask(client, "GET", base+"/brands", key, nil)
	for _, line := range strings.Split(strings.TrimSpace(string(rows)), "\n") {
		var path, with string
		var size int
		if _, err := fmt.Sscan(line, &path, &with, &size); err != nil {
			panic(err)
		}
		seen := ask(client, "POST", base+path, with, make([]byte, size))
		seen.Next = ask(client, "GET", base+"/brands", key, nil).Status
		text, _ := json.Marshal(seen)
		fmt.Println(string(text))
	}
}

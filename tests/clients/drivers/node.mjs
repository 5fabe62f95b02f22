// Node's HTTP/2 clients: POSTs that are refused early, each followed by a GET.

import diagnostics from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import http2 from "node:http2";

const PATIENCE = 20_000;
const [name, base, caFile, key, file] = process.argv.slice(2);
const ca = readFileSync(caFile);

// Each gives a function that asks and tells status, fields, body and version. undici and got hand an answer over while
// their upload goes on: for each row they get a session of its own, since Node fails one that holds 10 MB unsent
// (`maxSessionMemory`).
const clients = {
  http2: async () => {
    const session = http2.connect(base, { ca });
    session.on("error", (error) => console.error(error));
    return (method, path, key, body) =>
      new Promise((told, failed) => {
        const request = session.request({ ":method": method, ":path": path, "x-api-key": key });
        let fields, text = "";
        request.setTimeout(PATIENCE, () => request.destroy(new Error("timeout")));
        request.on("response", (head) => (fields = head));
        request.on("data", (data) => (text += data));
        request.on("error", failed);
        request.on("close", () =>
          fields ? told({ status: fields[":status"], fields, text, version: "2" }) : failed(new Error("no answer")),
        );
        request.end(body);
      });
  },
  undici: async () => {
    const { Agent, request } = await import("undici");
    let version = "?";
    diagnostics.subscribe("undici:client:connected", ({ socket }) => {
      version = socket.alpnProtocol === "h2" ? "2" : String(socket.alpnProtocol);
    });
    const dispatcher = new Agent({ allowH2: true, connect: { ca }, headersTimeout: PATIENCE, bodyTimeout: PATIENCE });
    return async (method, path, key, body) => {
      const answer = await request(base + path, { dispatcher, method, headers: { "x-api-key": key }, body });
      return { status: answer.statusCode, fields: answer.headers, text: await answer.body.text(), version };
    };
  },
  got: async () => {
    const { default: got } = await import("got");
    const { default: wrapper } = await import("http2-wrapper");
    const client = got.extend({
      http2: true,
      agent: { http2: new wrapper.Agent() },
      https: { certificateAuthority: ca },
      retry: { limit: 0 },
      throwHttpErrors: false,
      timeout: { request: PATIENCE },
    });
    return async (method, path, key, body) => {
      const answer = await client(base + path, { method, headers: { "x-api-key": key }, body });
      const version = answer.httpVersion === "2.0" ? "2" : answer.httpVersion;
      return { status: answer.statusCode, fields: answer.headers, text: answer.body, version };
    };
  },
};

let ask = await clients[name]();
await ask("GET", "/brands", key);
for (const line of readFileSync(file, "utf8").trim().split("\n")) {
  const [path, withKey, size] = line.split(" ");
  let heard;
  if (name !== "http2") ask = await clients[name]();
  try {
    const { status, fields, text, version } = await ask("POST", path, withKey, Buffer.alloc(Number(size), "x"));
    heard = { status, code: JSON.parse(text).code, retry_after: fields["retry-after"] ?? "", version };
  } catch (error) {
    heard = { error: String(error) };
  }
  try {
    heard.next = (await ask("GET", "/brands", key)).status;
  } catch (error) {
    heard.next = 0;
    console.error(String(error));
  }
  console.log(JSON.stringify(heard));
}
process.exit(0);

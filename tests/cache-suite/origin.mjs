// Loaded before the suite's origin server. It serves files of its folder to everybody who asks, so only this machine may;
// and it says that a further attempt is of no use, since the suite counts what arrives.

import http from 'node:http'

const listen = http.Server.prototype.listen
http.Server.prototype.listen = function (port) {
  this.prependListener('request', (_, response) => response.setHeader('X-Should-Retry', 'false'))
  return listen.call(this, port, '127.0.0.1')
}

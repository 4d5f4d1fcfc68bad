// Loaded into Portkey's process before Portkey itself (node --require). Portkey has no setting for where it listens:
// left alone it listens on all interfaces. Here it listens on 127.0.0.1, whatever it asks for.
//
// DRILL_ONLY_LOOPBACK=1: it also connects to nothing but this host. A call to a real provider is refused at once and
// said in the log, as if nobody listened there.
'use strict';

const net = require('node:net');
const LOOPBACK = '127.0.0.1';

const { listen } = net.Server.prototype;
net.Server.prototype.listen = function listenOnLoopback(...args) {
  const [first] = args;
  const port = typeof first === 'object' && first !== null ? first.port : first;
  if (!Number.isInteger(Number(port))) {
    throw new Error('drill: a server that listens on no port is not let through');
  }
  const done = args.find((argument) => typeof argument === 'function');
  return listen.call(this, { port: Number(port), host: LOOPBACK }, done);
};

const isLoopback = (host) => /^(localhost|127(\.\d{1,3}){3}|::1)$/.test(host);

if (process.env.DRILL_ONLY_LOOPBACK === '1') {
  const { connect } = net.Socket.prototype;
  net.Socket.prototype.connect = function connectToLoopback(...args) {
    const given = Array.isArray(args[0]) ? args[0] : args; // net.connect() hands on a list that it has read already
    const [first, second] = given;
    const named = typeof first === 'object' && first !== null;
    const host = named ? first.host : typeof second === 'string' ? second : undefined;
    if (isLoopback(String(host ?? 'localhost'))) {
      return connect.apply(this, args);
    }
    process.stderr.write(`drill: refused a connection to ${host}\n`);
    const error = Object.assign(new Error(`connect ECONNREFUSED ${host}`), { code: 'ECONNREFUSED', syscall: 'connect' });
    process.nextTick(() => this.destroy(error));
    return this;
  };
}

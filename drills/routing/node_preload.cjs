'use strict';
// Leads what a Node program sends through the proxy that HTTPS_PROXY names. Node up to 22 does not read that variable,
// and later versions only when they are asked to. Loaded before the program by NODE_OPTIONS=--require.

const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const tls = require('node:tls');

const proxy = new URL(process.env.HTTPS_PROXY);
const here = /^(localhost|.*\.localhost|127\..*|\[?::1\]?)$/i;

function tunnel(host, port, done) {
  const target = `${net.isIPv6(host) ? `[${host}]` : host}:${port}`;
  const asked = http.request({
    host: proxy.hostname,
    port: proxy.port,
    method: 'CONNECT',
    path: target,
    headers: { host: target },
    agent: false,
  });
  asked.once('connect', (answer, socket) => {
    if (answer.statusCode === 200) {
      done(null, socket);
    } else {
      socket.destroy();
      done(new Error(`the proxy answered ${answer.statusCode} for ${target}`));
    }
  });
  asked.once('error', done);
  asked.end();
}

function secured(socket, options, host, done) {
  const servername = options.servername || (net.isIP(host) ? '' : host);
  const secure = tls.connect({ ...options, host, servername, socket });
  secure.once('secureConnect', () => done(null, secure));
  secure.once('error', done);
}

// http and https: what most libraries that are older than fetch stand on.

function through(Agent, isSecure) {
  return class extends Agent {
    createConnection(options, done) {
      const host = options.host || 'localhost';
      if (here.test(host)) return super.createConnection(options, done);
      tunnel(host, options.port || (isSecure ? 443 : 80), (error, socket) => {
        if (error || !isSecure) done(error, socket);
        else secured(socket, options, host, done);
      });
      return undefined;
    }
  };
}

http.globalAgent = new (through(http.Agent, false))({ keepAlive: true });
https.globalAgent = new (through(https.Agent, true))({ keepAlive: true });

// fetch: its dispatcher stands under a symbol that every copy of undici shares. Node loads its own copy when Headers is
// first looked at, and sets a dispatcher then.

const KEY = Symbol.for('undici.globalDispatcher.1');
void globalThis.Headers;
if (globalThis[KEY]) {
  const Agent = globalThis[KEY].constructor;
  globalThis[KEY] = new Agent({
    connect(options, done) {
      const host = options.hostname.replace(/^\[|\]$/g, '');
      const isSecure = options.protocol === 'https:';
      const port = options.port || (isSecure ? 443 : 80);
      const led = (error, socket) => {
        if (error || !isSecure) done(error, socket);
        else secured(socket, { ALPNProtocols: ['http/1.1'], servername: options.servername }, host, done);
      };
      if (!here.test(host)) {
        tunnel(host, port, led);
        return;
      }
      const socket = net.connect({ host, port: Number(port) });
      socket.once('connect', () => led(null, socket));
      socket.once('error', led);
    },
  });
}

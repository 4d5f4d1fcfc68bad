// Loaded into Portkey's process when its traffic goes through a proxy. Node's own fetch ignores HTTPS_PROXY (Node 24 can
// be told to honour it, older ones cannot); this makes it honour HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
// DRILL_UNDICI is the folder of the undici package, the library that Node's fetch is made of.
'use strict';

const { EnvHttpProxyAgent, setGlobalDispatcher } = require(process.env.DRILL_UNDICI);
setGlobalDispatcher(new EnvHttpProxyAgent());

// Keeps the page's files so that it works offline once loaded; online, the server's are used.

/** Names of all files, put here by the build. */
const files = BUILT_FILES;
const cacheName = "addernet-demo";

globalThis.addEventListener("install", (event) => {
  event.waitUntil(caches.open(cacheName).then((cache) => cache.addAll(["./", ...files])));
  globalThis.skipWaiting();
});

globalThis.addEventListener("activate", (event) => event.waitUntil(globalThis.clients.claim()));

globalThis.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  event.respondWith(fetch(request).catch(async () => (await caches.match(request)) ?? Response.error()));
});

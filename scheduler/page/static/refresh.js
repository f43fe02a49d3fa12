// Keeps an open page fresh: asks every few seconds, only while somebody can see it.
"use strict";
(() => {
  // As they came, before other scripts sort and draw in them: it is loaded before these.
  const sources = new WeakMap();
  const note = (main) => { for (const child of main.children) sources.set(child, child.outerHTML); };
  note(document.querySelector("main"));
  if (!("live" in document.body.dataset)) return;

  const periodSeconds = 5;
  const fresh = document.getElementById("fresh");
  let tag = null;
  let isAsking = false;

  // Only what differs is replaced, so that nothing moves, or loses the focus, that has not changed.
  function replace(text) {
    const next = new DOMParser().parseFromString(text, "text/html");
    const [old, newer] = [document.querySelector("main"), next.querySelector("main")];
    note(newer);
    const ids = (main) => [...main.children].map((child) => child.id).join(" ");
    if (ids(old) === ids(newer)) {
      const pairs = [...old.children].map((child, place) => [child, newer.children[place]]);
      for (const [child, other] of pairs) {
        if (sources.get(child) !== sources.get(other)) swap(child, other);
      }
    } else {
      swap(old, newer);
    }
    document.title = next.title;
  }

  function swap(old, newer) {
    const open = [...old.querySelectorAll("details[open][id]")].map((one) => one.id);
    const focused = old.contains(document.activeElement) ? document.activeElement.closest("[id]")?.id : null;
    const source = sources.get(newer);
    const adopted = document.adoptNode(newer);
    if (source !== undefined) sources.set(adopted, source);
    old.replaceWith(adopted);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    drawCharts(adopted);
    if (focused) document.getElementById(focused)?.focus();
  }

  async function ask() {
    if (document.hidden || isAsking) return;
    isAsking = true;
    try {
      const headers = { "X-Refresh": "1", ...(tag === null ? {} : { "If-None-Match": tag }) };
      const answer = await fetch(location.href, { headers, cache: "no-store" });
      if (answer.status === 200) {
        tag = answer.headers.get("ETag");
        replace(await answer.text());
      }
      const isAnswered = answer.ok || answer.status === 304;
      fresh.textContent = isAnswered ? "" : "This may be old: the database gives no answer now.";
    } catch {
      fresh.textContent = "This may be old: the page is no longer served.";
    } finally {
      isAsking = false;
    }
  }

  setInterval(ask, 1000 * periodSeconds);
  document.addEventListener("visibilitychange", ask);
})();

// A report holds several views: one is shown at a time, that of the address, the first one at the beginning.
"use strict";
(() => {
  const views = [...document.querySelectorAll(".view")];

  function show() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const chosen = target?.closest(".view") ?? (target === null ? views[0] : null);
    if (chosen === null) return;
    for (const view of views) view.hidden = view !== chosen;
    for (const link of document.querySelectorAll("nav a")) {
      if (link.getAttribute("href") === `#${chosen.id}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    for (const menu of document.querySelectorAll("nav details")) menu.open = false;
    document.title = `${chosen.dataset.title} · recsweep`;
    if (target !== null && target !== chosen) target.scrollIntoView();
    else scrollTo(0, 0);
  }

  addEventListener("hashchange", show);
  show();
})();

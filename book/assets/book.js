// What the theme leaves undone: names and keys for those who do not see or point, and live figures.
// A classic script, since browsers load no modules on pages opened from disk.
(() => {
  const base = document.currentScript.src;
  const all = (selector) => [...document.querySelectorAll(selector)];

  const name = () => {
    all(".md-search").forEach((e) => e.setAttribute("aria-label", "Search the book"));
    all(".md-code__nav").forEach((e, i) => e.setAttribute("aria-label", `Code ${i + 1}`));
    all("a.md-annotation__index").forEach((e) => {
      const number = e.querySelector("[data-md-annotation-id]")?.dataset.mdAnnotationId;
      e.setAttribute("aria-label", `Note ${number}`);
    });
  };

  // Whatever scrolls sideways can be reached and scrolled by keyboard.
  const scrolling = ".math, .md-typeset__scrollwrap, .md-typeset pre > code, .md-typeset figure";
  const reach = () => all(scrolling).forEach((e) => {
    if (e.scrollWidth > e.clientWidth) e.tabIndex = 0;
    else e.removeAttribute("tabindex");
  });

  // <dl-line> is defined by live/dl-line.js, which is loaded where the element occurs.
  const enliven = () => all(".md-content :not(:defined)").forEach((e) => {
    const script = Object.assign(document.createElement("script"), { src: new URL(`live/${e.localName}.js`, base) });
    if (e.localName.startsWith("dl-") && !all("script").some((s) => s.src === script.src)) document.head.append(script);
  });

  const tend = () => { name(); reach(); enliven(); };
  tend();
  addEventListener("resize", reach);
  new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
  document$.subscribe(() => requestAnimationFrame(tend));
})();

// What the pages do beyond HTML: selects that submit, times in the viewer's zone, charts.
"use strict";
document.documentElement.classList.add("js");

const ready = (run) =>
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", run) : run();

ready(() => {
  for (const select of document.querySelectorAll("select[data-submit]")) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }
  // Empty fields would only lengthen the address.
  for (const form of document.querySelectorAll("form[data-filters]")) {
    form.addEventListener("submit", () => {
      for (const field of form.elements) {
        if (!field.name || field.value || field.disabled) continue;
        field.disabled = true;
        field.dataset.leftOut = "";
      }
    });
  }
  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of document.querySelectorAll("time[datetime]")) {
    const day = new Date(time.dateTime);
    if (!isNaN(day)) {
      time.title = time.textContent;
      time.textContent = local.format(day);
    }
  }
});

window.addEventListener("pageshow", (event) => {
  // Back from another page: fields that were left out of what was sent work again, and no others.
  if (!event.persisted) return;
  for (const field of document.querySelectorAll("[data-left-out]")) {
    field.disabled = false;
    delete field.dataset.leftOut;
  }
});

// Charts: the specification stands beside each, with names of colors that the theme fills in.
// Some keys have names of the shop: a category may be called $high.
const shopNames = ["values", "domain", "sort"];
const colored = (value, colors) => {
  if (typeof value === "string") return value[0] === "$" && colors[value.slice(1)] || value;
  if (Array.isArray(value)) return value.map((item) => colored(item, colors));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(
      ([key, item]) => [key, shopNames.includes(key) ? item : colored(item, colors)]));
  }
  return value;
};

const isDark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

const draw = async (place, settings) => {
  const spec = JSON.parse(place.parentElement.querySelector("script.spec").textContent);
  const colors = settings.themes[isDark() ? "dark" : "light"];
  const sentence = place.getAttribute("aria-label");
  const { view } = await window.vegaEmbed(place, colored({ ...spec, config: settings.config }, colors), {
    actions: false, ast: true, renderer: "svg", formatLocale: settings.locale, defaultStyle: false,
    tooltip: { disableDefaultStyle: true, sanitize: (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;") },
  });
  place.removeAttribute("data-waiting");
  // The sentence says what is drawn; the single marks would only be noise to a screen reader.
  // Vega has put a label of its own in its place.
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", sentence);
  place.removeAttribute("aria-roledescription");
  for (const part of place.querySelectorAll("[role]")) part.removeAttribute("role");
  for (const part of place.querySelectorAll("svg, svg *")) {
    for (const name of ["aria-label", "aria-roledescription", "tabindex"]) part.removeAttribute(name);
  }
  if (place.dataset.link) {
    view.addEventListener("click", (event, item) => {
      const id = item && item.datum && item.datum.product_id;
      if (id !== undefined) {
        const to = new URL(place.dataset.link, location.href);
        to.searchParams.set("id", id);
        location.assign(to);
      }
    });
  }
  place.dataset.drawn = "yes";
};

const drawAll = () => {
  const given = document.getElementById("chart-config");
  if (!given || !window.vegaEmbed) return;
  const settings = JSON.parse(given.textContent);
  for (const place of document.querySelectorAll(".chart[data-chart]")) draw(place, settings);
};

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
window.addEventListener("load", drawAll);

// A file that is dropped: the field takes it by itself; this shows where, and says what is too large.
ready(() => {
  for (const form of document.querySelectorAll("form.drop")) {
    const field = form.querySelector('input[type="file"]');
    const wrong = form.querySelector(".wrong");
    for (const name of ["dragenter", "dragover"]) form.addEventListener(name, () => form.classList.add("over"));
    for (const name of ["dragleave", "drop"]) form.addEventListener(name, () => form.classList.remove("over"));
    field.addEventListener("change", () => {
      const tooLarge = field.files[0] && field.files[0].size > Number(form.dataset.limit);
      wrong.hidden = !tooLarge;
      wrong.textContent = tooLarge ? form.dataset.tooLarge : "";
      form.querySelector("button").disabled = Boolean(tooLarge);
    });
  }
});

// The time zone of whoever looks, where a form asks for one; an address that is shown once is marked whole.
ready(() => {
  for (const field of document.querySelectorAll("input[data-zone]")) field.value = Intl.DateTimeFormat().resolvedOptions().timeZone || field.value;
  for (const field of document.querySelectorAll("input.address")) field.addEventListener("focus", () => field.select());
});

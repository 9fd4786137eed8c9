// The console's own script. Pages work without it for reading and for every form; it adds the theme, keys, refreshing,
// relative times, copying and charts. Loaded in the head, so that the theme is right before anything is drawn.
(() => {
  "use strict";
  const root = document.documentElement;
  const THEMES = ["auto", "light", "dark"];
  const kept = () => { try { return localStorage.getItem("waybill-theme") || "auto"; } catch { return "auto"; } };
  const setTheme = (name) => {
    if (name === "auto") delete root.dataset.theme; else root.dataset.theme = name;
    try { localStorage.setItem("waybill-theme", name); } catch { /* private windows may refuse */ }
  };
  setTheme(THEMES.includes(kept()) ? kept() : "auto");
  root.classList.add("scripted");

  const ago = (moment) => {
    const seconds = (Date.now() - moment) / 1000;
    const size = Math.abs(seconds);
    if (size < 1) return "now";
    const [unit, label] = size < 60 ? [1, "s"] : size < 3600 ? [60, "min"] : size < 86400 ? [3600, "h"] : [86400, "d"];
    const count = `${Math.floor(size / unit)} ${label}`;
    return seconds > 0 ? `${count} ago` : `in ${count}`;
  };
  const updateTimes = () => {
    for (const each of document.querySelectorAll("time[data-relative]")) {
      const shown = ago(Date.parse(each.dateTime));
      if (each.textContent !== shown) each.textContent = shown;
    }
  };

  // [data-refresh=SECONDS]: fires the event `refresh`, which hx-trigger="refresh" hears, while the tab is visible.
  const refresh = () => {
    if (document.hidden) return;
    const now = Date.now();
    for (const each of document.querySelectorAll("[data-refresh]")) {
      const due = Number(each.dataset.refreshed || 0) + Number(each.dataset.refresh) * 1000;
      if (!each.dataset.refreshed) { each.dataset.refreshed = now; continue; }
      if (now >= due) { each.dataset.refreshed = now; each.dispatchEvent(new CustomEvent("refresh")); }
    }
  };

  // [data-events=ADDRESS]: a job's stream. Text is appended as it is written; any other event refreshes the element, at
  // most four times a second. EventSource reconnects after the last event by itself, and stops at a 204.
  const EVENTS = ["job.queued", "job.started", "job.waiting", "job.classified", "job.succeeded", "job.failed",
    "job.cancelled", "job.expired", "job.rejected", "step.started", "step.finished", "progress.updated", "cost.updated",
    "input.required", "guard.findings", "child.finished"];
  const follow = (live) => {
    const source = new EventSource(live.dataset.events);
    let planned = 0;
    const soon = () => {
      planned ||= setTimeout(() => { planned = 0; live.dispatchEvent(new CustomEvent("refresh")); }, 120);
    };
    for (const name of EVENTS) {
      source.addEventListener(name, () => {
        if (name === "job.started") setStream("");
        soon();
        if (/^job\.(succeeded|failed|cancelled|expired|rejected)$/.test(name)) {
          source.close();
          delete live.dataset.refresh;
        }
      });
    }
    let text = "";
    const setStream = (value) => {
      text = value;
      const place = live.querySelector("[data-stream]");
      if (!place) return;
      place.textContent = text;
      place.closest(".streamed")?.classList.toggle("has-text", text !== "");
    };
    source.addEventListener("message.delta", (event) => setStream(text + (JSON.parse(event.data).data.text ?? "")));
    live.addEventListener("htmx:after:swap", () => setStream(text));
  };

  // [data-upload=ADDRESS]: files are sent as they are, one by one. With data-into, their ids go into the field of that
  // name; otherwise the page is loaded again.
  const upload = async (input) => {
    const form = input.closest("form"), status = input.parentElement.querySelector("[data-upload-state]");
    const field = input.dataset.into ? form.elements[input.dataset.into] : null;
    const token = form.elements.csrf_token.value;
    for (const [at, file] of [...input.files].entries()) {
      status.textContent = `${at + 1} / ${input.files.length}: ${file.name}`;
      const answer = await fetch(`${input.dataset.upload}?name=${encodeURIComponent(file.name)}`, {
        method: "POST", body: file, headers: {
          "content-type": file.type || "application/octet-stream", "x-csrf-token": token, "hx-request": "true",
        },
      });
      if (!answer.ok || answer.status === 204) {
        const problem = new DOMParser().parseFromString(await answer.text(), "text/html");
        status.textContent = `${file.name}: ${problem.body.textContent.trim().replace(/\s+/g, " ") || answer.status}`;
        return;
      }
      if (field) {
        const ids = field.value.trim() ? JSON.parse(field.value) : [];
        field.value = JSON.stringify([...ids, (await answer.json()).id]);
      }
    }
    if (field) {
      status.textContent = ""; input.value = "";
      field.dispatchEvent(new Event("change", { bubbles: true }));
    } else location.reload();
  };

  const isTyping = (target) =>
    target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]") !== null;
  const moveRow = (step) => {
    const rows = [...document.querySelectorAll("table.rows tbody tr")];
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.classList.contains("current"));
    const to = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step));
    rows[at]?.classList.remove("current");
    rows[to].classList.add("current");
    rows[to].scrollIntoView({ block: "nearest" });
    (rows[to].querySelector("a") ?? rows[to].querySelector("button, input"))?.focus({ preventScroll: true });
  };
  const openHelp = () => { const help = document.querySelector("#keys-help"); if (help && !help.open) help.showModal(); };
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && isTyping(event.target)) { event.target.blur(); return; }
    if (isTyping(event.target)) return;
    const act = {
      "/": () => document.querySelector("[data-search], #find")?.focus(),
      j: () => moveRow(1), k: () => moveRow(-1), "?": openHelp,
    }[event.key];
    if (act) { event.preventDefault(); act(); }
  };

  const copy = async (button) => {
    const text = document.querySelector(button.dataset.copy)?.textContent ?? "";
    try { await navigator.clipboard.writeText(text.trim()); } catch { return; }
    const label = button.textContent;
    button.textContent = button.dataset.copied || "Copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  };
  const onClick = (event) => {
    const target = event.target.closest("[data-theme-toggle], [data-open], [data-copy], [data-select-all]");
    if (!target) return;
    if (target.matches("[data-theme-toggle]")) {
      setTheme(THEMES[(THEMES.indexOf(root.dataset.theme || "auto") + 1) % THEMES.length]);
      target.title = root.dataset.theme || "auto";
    } else if (target.matches("[data-open]")) document.querySelector(target.dataset.open)?.showModal();
    else if (target.matches("[data-copy]")) copy(target);
    else for (const box of document.querySelectorAll(target.dataset.selectAll)) box.checked = target.checked;
  };

  // [data-chart]: a line chart of uPlot, on pages that load it in their head.
  const drawCharts = () => {
    if (!window.uPlot) return;
    // A canvas knows no light-dark(): the color is the one that an element would have.
    const probe = document.body.appendChild(document.createElement("i"));
    const color = (name) => { probe.style.color = `var(${name})`; return getComputedStyle(probe).color; };
    const ink = color("--muted"), grid = color("--line");
    for (const place of document.querySelectorAll("[data-chart]:not([data-drawn])")) {
      place.dataset.drawn = "";
      const data = JSON.parse(place.dataset.chart), labels = JSON.parse(place.dataset.labels);
      const unit = place.dataset.unit.length <= 3 ? place.dataset.unit : "";
      const axis = { stroke: () => ink, grid: { stroke: () => grid, width: 1 }, ticks: { show: false } };
      const size = () => ({ width: place.clientWidth, height: 220 });
      const colors = ["--chart-1", "--chart-2", "--chart-3", "--chart-4", "--chart-5"];
      const plot = new window.uPlot({
        ...size(),
        series: [{}, ...labels.map((label, at) => ({
          label, width: 2, stroke: color(colors[at % colors.length]), points: { show: data[0].length < 2 },
          value: (_, value) => value == null ? "–" : `${value.toLocaleString()} ${place.dataset.unit}`,
        }))],
        // Amounts and counts are read against zero; shares of 95 % to 97 % would be a flat line there.
        ...(unit === "%" ? {} : { scales: { y: { range: (_, low, high) => [Math.min(0, low), (high || 1) * 1.05] } } }),
        axes: [axis, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => `${tick.toLocaleString()} ${unit}`) }],
      }, data, place);
      new ResizeObserver(() => plot.setSize(size())).observe(place);
    }
    probe.remove();
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.addEventListener("keydown", onKey);
    document.addEventListener("click", onClick);
    document.addEventListener("htmx:after:swap", () => { updateTimes(); drawCharts(); });
    updateTimes(); drawCharts();
    // On a narrow screen both rows scroll sideways: what is shown is where one is.
    for (const each of document.querySelectorAll(":is(.sections, .tabs) [aria-current]")) each.scrollIntoView({ block: "nearest", inline: "center" });
    document.querySelectorAll("[data-events]").forEach(follow);
    document.addEventListener("submit", (event) => {
      // Addresses stay short: empty filters are left out.
      if (!event.target.matches("form.filters")) return;
      for (const each of event.target.elements) if (each.name && each.value === "") each.disabled = true;
    });
    addEventListener("pageshow", () => {
      for (const each of document.querySelectorAll("form.filters [disabled]")) each.disabled = false;
    });
    document.addEventListener("change", (event) => {
      if (event.target.matches("[data-upload]")) { event.stopPropagation(); upload(event.target); }
      else if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
    });
    setInterval(updateTimes, 10000);
    setInterval(refresh, 1000);
  });
})();

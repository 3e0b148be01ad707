"use strict";
(() => {
  const PAGE = 25;
  const $ = (id) => document.getElementById(id);
  const make = (tag, text, className) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (className) node.className = className;
    return node;
  };
  const minus = (text) => text.replace("-", "−");
  const show = (value, percent) => {
    if (value === null) return "–";
    if (percent) return `${+(value * 100).toFixed(1)} %`;
    return minus(String(+value.toPrecision(4)));
  };

  // ---- charts: a cursor and a read-out, by pointer or by arrow keys -------------------------
  const swatches = [...document.querySelectorAll(".legend .swatch")];

  function attach(svg) {
    const data = JSON.parse(svg.dataset.chart);
    const figure = svg.closest("figure");
    const cursor = svg.querySelector(".cursor");
    const box = make("div", undefined, "readout");
    box.setAttribute("role", "status");
    box.hidden = true;
    figure.append(box);
    const [left, width, x0, x1] = data.x;
    const opens = !svg.closest("#evaluation"); // checkpoints are between steps and have no rollouts
    const place = (step) => left + ((step - x0) / (x1 - x0)) * width;
    let at = -1;

    function point(index) {
      at = index;
      const step = data.steps[index];
      box.replaceChildren(make("b", `step ${step}`));
      for (const series of data.series) {
        if (series.v[index] === null) continue;
        const row = make("div");
        row.append(swatches[series.arm].cloneNode(true));
        const note = series.n.length && series.n[index] ? ` (${series.n[index]})` : "";
        row.append(`${series.name} ${show(series.v[index], data.percent)}${note}`);
        box.append(row);
      }
      box.hidden = false;
      const x = place(step);
      cursor.setAttribute("transform", `translate(${x} 0)`);
      cursor.style.visibility = "visible";
      const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
      const beside = x * scale + 12;
      const room = figure.clientWidth - box.offsetWidth;
      box.style.left = `${Math.max(0, beside <= room ? beside : Math.min(room, x * scale - 12 - box.offsetWidth))}px`;
      box.style.top = "1.6rem";
    }
    function leave() {
      box.hidden = true;
      cursor.style.visibility = "hidden";
      at = -1;
    }
    function nearest(event) {
      const frame = svg.getBoundingClientRect();
      const x = ((event.clientX - frame.left) / frame.width) * svg.viewBox.baseVal.width;
      let best = 0;
      data.steps.forEach((step, i) => {
        if (Math.abs(place(step) - x) < Math.abs(place(data.steps[best]) - x)) best = i;
      });
      return best;
    }
    svg.addEventListener("pointermove", (event) => point(nearest(event)));
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("blur", leave);
    svg.addEventListener("click", (event) => {
      if (opens && event.pointerType !== "touch") openStep(data.steps[nearest(event)]);
    });
    svg.addEventListener("keydown", (event) => {
      const last = data.steps.length - 1;
      const moves = { ArrowRight: Math.min(last, at + 1), ArrowLeft: Math.max(0, at - 1), Home: 0, End: last };
      if (event.key in moves) point(moves[event.key]);
      else if (event.key === "Enter" && opens && at >= 0) openStep(data.steps[at]);
      else if (event.key === "Escape") leave();
      else return;
      event.preventDefault();
    });
  }
  document.querySelectorAll("svg.chart").forEach(attach);

  // ---- rollouts ---------------------------------------------------------------------------
  const names = JSON.parse($("label-names").textContent);
  const form = $("filters");
  let rollouts = null;
  let found = [];
  let page = 0;

  async function unpack() {
    const bytes = Uint8Array.from(atob($("payload").textContent.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  class Rollouts {
    constructor(payload) {
      this.runs = payload.runs;
      this.texts = payload.texts;
      this.columns = payload.columns;
      this.bits = Object.fromEntries(payload.flags.map((name, bit) => [name, 1 << bit]));
      this.length = this.columns.run.length;
      this.lower = new Map();
    }
    text(name, i) {
      const at = this.columns[name][i];
      return at < 0 ? null : this.texts[at];
    }
    flag(name, i) { return (this.columns.flags[i] & this.bits[name]) !== 0; }
    run(i) { return this.runs[this.columns.run[i]]; }
    id(i) {
      const { run, step, group, index } = this.columns;
      return [run[i], step[i], group[i], index[i]].join("-");
    }
    contains(i, needle) {
      return ["completion", "problem_id", "prompt", "evidence"].some((name) => {
        const at = this.columns[name][i];
        if (at < 0) return false;
        if (!this.lower.has(at)) this.lower.set(at, this.texts[at].toLowerCase());
        return this.lower.get(at).includes(needle);
      });
    }
  }

  function options(select, all, entries) {
    select.replaceChildren();
    if (all) select.append(new Option(all, ""));
    entries.forEach(([value, text]) => select.append(new Option(text, value)));
  }

  function prepare() {
    const arms = [...new Set(rollouts.runs.map((run) => run.arm))];
    const seeds = [...new Set(rollouts.runs.map((run) => run.seed))].sort((a, b) => a - b);
    const steps = [...new Set(rollouts.columns.step)].sort((a, b) => a - b);
    options(form.elements.arm, "all arms", arms.map((arm) => [arm, arm]));
    options(form.elements.seed, "all seeds", seeds.map((seed) => [seed, seed]));
    form.elements.seed.parentElement.hidden = seeds.length < 2;
    options(form.elements.step, "all steps", steps.map((step) => [step, step]));
    options(form.elements.label, "all labels", Object.entries(names));
  }

  function search() {
    const get = (name) => form.elements[name].value;
    const needle = get("text").trim().toLowerCase();
    const [arm, seed, step, label, source] = ["arm", "seed", "step", "label", "source"].map(get);
    const side = form.elements.side ? get("side") : "";
    found = [];
    for (let i = 0; i < rollouts.length; i += 1) {
      const run = rollouts.run(i);
      if (arm && run.arm !== arm) continue;
      if (seed && String(run.seed) !== seed) continue;
      if (step && String(rollouts.columns.step[i]) !== step) continue;
      if (label && rollouts.text("label", i) !== label) continue;
      if (source && rollouts.flag("teacher", i) !== (source === "teacher")) continue;
      if (side) {
        const cosine = rollouts.columns.cosine[i];
        if (cosine === null || (cosine > 0) !== (side === "towards")) continue;
      }
      if (needle && !rollouts.contains(i, needle)) continue;
      found.push(i);
    }
    const [by, end] = get("order").split("-");
    const column = end ? rollouts.columns[by] : rollouts.columns.step;
    const sign = by === "late" || end === "high" ? -1 : 1;
    // what was never measured comes last in either order
    const measured = (i) => (column[i] === null ? 1 : 0);
    found.sort((a, b) => measured(a) - measured(b) || sign * (column[a] - column[b]) || a - b);
    page = 0;
    draw();
  }

  function draw() {
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    const from = page * PAGE;
    const shown = found.slice(from, from + PAGE);
    $("list").replaceChildren(...shown.map(item));
    $("status").textContent = found.length
      ? `Showing ${from + 1}–${from + shown.length} of ${found.length} rollouts.`
      : "No rollout matches these filters.";
    $("pager").hidden = pages < 2;
    $("page").textContent = `Page ${page + 1} of ${pages}`;
    $("previous").disabled = page === 0;
    $("next").disabled = page === pages - 1;
  }

  function item(i) {
    const c = rollouts.columns;
    const node = make("details", undefined, "item");
    node.id = `rollout-${rollouts.id(i)}`;
    const head = make("summary");
    const run = rollouts.run(i);
    const who = make("span");
    const arm = rollouts.armIndex.get(run.arm);
    if (swatches[arm]) who.append(swatches[arm].cloneNode(true));
    who.append(run.arm + (rollouts.many ? `, seed ${run.seed}` : ""));
    const raw = rollouts.text("label", i);
    const label = make("span", names[raw] ?? raw, "label");
    label.dataset.label = raw;
    const advantage = c.advantage[i];
    head.append(
      who,
      make("span", `step ${c.step[i]}`),
      make("span", rollouts.text("problem_id", i)),
      label,
      make("span", `reward ${show(c.reward[i])}`, "reward"),
      make("span", rollouts.flag("teacher", i) ? "teacher" : advantage === null ? "dropped" : `advantage ${show(advantage)}`, "advantage"),
    );
    if (c.cosine) head.append(make("span", `cosine ${show(c.cosine[i])}`, "cosine"));
    node.append(head);
    node.addEventListener("toggle", () => {
      if (!node.open) return;
      if (node.children.length === 1) node.append(detail(i));
      history.replaceState(null, "", `#${node.id}`);
    });
    return node;
  }

  function detail(i) {
    const c = rollouts.columns;
    const body = make("div", undefined, "body");
    const main = make("div");
    const side = make("div", undefined, "side");
    const completion = make("pre", undefined, "text");
    const marked = new Set();
    c.marks[i].forEach(([a, b]) => { for (let k = a; k <= b; k += 1) marked.add(k); });
    (rollouts.text("completion", i) ?? "").trimEnd().split("\n").forEach((line, k) => {
      if (marked.has(k)) {
        const mark = make("mark", line || " ");
        completion.append(mark, "\n");
      } else completion.append(line + "\n");
    });
    main.append(make("h4", "Completion"), completion);
    const prompt = make("details");
    prompt.append(make("summary", "Prompt"), make("pre", rollouts.text("prompt", i) ?? "", "text"));
    main.append(prompt);
    const yes = (name) => (rollouts.flag(name, i) ? "yes" : "no");
    const facts = [
      ["Written by", rollouts.flag("teacher", i) ? `teacher (${rollouts.text("style", i) ?? "no style"})` : "student"],
      ["Paid (proxy)", yes("proxy")], ["Correct", yes("correct")], ["Attempted", yes("attempted")],
      ["Exploit", rollouts.text("exploit", i) ?? "none"], ["Compiles", yes("compiled")],
      ["Well-formed", yes("formatted")], ["Finished", yes("finished")],
      ["Reward", show(c.reward[i])],
      ["Advantage", c.advantage[i] === null ? "dropped before the update" : show(c.advantage[i])],
      ["Tokens", show(c.tokens[i])], ["Grading", c.seconds[i] === null ? "–" : `${show(c.seconds[i])} s`],
      ["Loophole", rollouts.text("loophole", i) ?? "none"], ["Evaluator", rollouts.text("evaluator", i) ?? "none"],
      ...["cosine", "alignment"].filter((name) => c[name]).map((name) => [name[0].toUpperCase() + name.slice(1), show(c[name][i])]),
      ["Group, index", `${c.group[i]}, ${c.index[i]}`],
    ];
    const list = make("dl");
    facts.forEach(([name, value]) => list.append(make("dt", name), make("dd", value)));
    side.append(make("h4", "Verdict"), list);
    const evidence = rollouts.text("evidence", i);
    if (evidence) side.append(make("h4", "Evidence"), make("pre", evidence));
    const parts = rollouts.text("parts", i);
    if (parts && parts !== "{}") side.append(make("h4", "Parts"), make("pre", parts));
    body.append(main, side);
    return body;
  }

  function openStep(step) {
    if (!rollouts) return;
    const known = [...form.elements.step.options].some((option) => option.value === String(step));
    if (!known) return;
    form.elements.step.value = String(step);
    search();
    $("rollouts").scrollIntoView();
    form.elements.step.focus({ preventScroll: true });
  }

  function follow() {
    const id = location.hash.slice(1);
    if (!id.startsWith("rollout-")) return;
    for (let i = 0; i < rollouts.length; i += 1) {
      if (`rollout-${rollouts.id(i)}` !== id) continue;
      if (!found.includes(i)) {
        ["arm", "seed", "step", "label", "source", "side", "text"].forEach((name) => {
          if (form.elements[name]) form.elements[name].value = "";
        });
        search();
      }
      page = Math.floor(found.indexOf(i) / PAGE);
      draw();
      const node = $(id);
      node.open = true;
      node.scrollIntoView();
      return;
    }
  }

  let waiting;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", (event) => {
    // the text field has searched already; redrawing as it loses focus would swallow the click
    if (rollouts && event.target !== form.elements.text) search();
  });
  form.elements.text.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => rollouts && search(), 150);
  });
  form.addEventListener("reset", () => setTimeout(() => rollouts && search()));
  const turn = (by) => () => {
    page += by;
    draw();
    $("status").scrollIntoView({ block: "nearest" });
  };
  $("previous").addEventListener("click", turn(-1));
  $("next").addEventListener("click", turn(1));
  window.addEventListener("hashchange", () => rollouts && follow());

  unpack().then(
    (payload) => {
      rollouts = new Rollouts(payload);
      const arms = [...new Set(rollouts.runs.map((run) => run.arm))];
      rollouts.armIndex = new Map(arms.map((arm, k) => [arm, k]));
      rollouts.many = new Set(rollouts.runs.map((run) => run.seed)).size > 1;
      prepare();
      search();
      follow();
    },
    () => {
      $("status").textContent = "This browser cannot unpack the rollouts (it lacks DecompressionStream); the run directories hold them as parquet.";
    },
  );
})();

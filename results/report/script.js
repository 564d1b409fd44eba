"use strict";
/* The chart of the front: any two axes, chosen by the reader. Text is only ever set as text. */
(() => {
  const container = document.getElementById("front-chart");
  const source = document.getElementById("front-data");
  if (!container || !source) return;
  const data = JSON.parse(source.textContent);
  const { axes, groups } = data;
  const margin = { top: 34, right: 16, bottom: 46, left: 62 };
  const state = { x: data.x, y: data.y, hidden: new Set(["published"]) };
  const several = groups.length > 1;
  const symbols = { trained: d3.symbolSquare, parent: d3.symbolDiamond, shrunk: d3.symbolCross,
    published: d3.symbolStar };

  const bytes = (value) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    const step = Math.min(4, Math.max(0, Math.floor(Math.log2(Math.abs(value) || 1) / 10)));
    return `${+(value / 1024 ** step).toPrecision(3)} ${units[step]}`;
  };
  const formats = {
    bytes,
    decibel: (value) => `${value.toFixed(2)} dB`,
    count: (value) => (value < 1000 ? `${+value.toPrecision(3)}` : d3.format(".3~s")(value)),
    plain: (value) => `${+value.toPrecision(4)}`,
  };
  const show = (axis, value) => formats[axis.kind](value);
  const short = (axis, value) => show(axis, value).replace(" dB", "");
  const both = (point) => point.v[state.x] != null && point.v[state.y] != null;

  const host = d3.select(container).html("");
  const svg = host.append("svg").attr("role", "group").attr("aria-label", "Chart of the front");
  const tip = host.append("div").attr("class", "tip").attr("role", "status").style("display", "none");

  function frontOf(points) {
    const better = (axis, a, b) => (axes[axis].up ? b - a : a - b);
    const sorted = [...points].sort((a, b) =>
      better(state.x, a.v[state.x], b.v[state.x]) || better(state.y, a.v[state.y], b.v[state.y]));
    const front = [];
    let best = null;
    for (const point of sorted) {
      const value = point.v[state.y];
      const last = front[front.length - 1];
      const equal = last && last.v[state.x] === point.v[state.x] && last.v[state.y] === value;
      if (best === null || equal || (axes[state.y].up ? value > best : value < best)) {
        front.push(point);
        best = value;
      }
    }
    return front;
  }

  function scaleOf(axis, points, range) {
    let values = points.map((point) => point.v[axis]).filter((value) => value != null);
    if (!values.length) values = [0, 1];
    let [low, high] = d3.extent(values);
    if (axes[axis].kind === "decibel") {
      // a network that diverged must not press all others into one line; it stays at the edge
      const worst = values.sort(d3.ascending)[Math.floor(values.length / 8)];
      low = Math.max(low, worst - 2 * (high - worst || 1));
    }
    const limit = axes[axis].limit;
    const room = 0.5 * (high - low);
    if (limit != null && limit >= low - room && limit <= high + room) {
      low = Math.min(low, limit);
      high = Math.max(high, limit);
    }
    if (low > 0 && high / low >= 30) {
      const wider = (high / low) ** 0.06;
      return d3.scaleLog().domain([low / wider, high * wider]).range(range).clamp(true);
    }
    const wider = 0.06 * (high - low) || 0.01 * Math.abs(high) || 1;
    return d3.scaleLinear().domain([low - wider, high + wider]).range(range).clamp(true);
  }

  function ticksOf(scale, count) {
    if (!scale.base) return scale.ticks(count);
    const [low, high] = scale.domain();
    const lead = [1, 2, 5].flatMap((digit) => d3.range(-3, 16).map((power) => digit * 10 ** power));
    const inside = lead.filter((value) => value >= low && value <= high).sort(d3.ascending);
    return inside.length <= count + 2 ? inside : inside.filter((value) => /^1e|^1/.test(value.toExponential()));
  }

  function showTip(point, at) {
    tip.html("").style("display", null);
    tip.append("b").text(point.n + (several ? ` · ${groups[point.g || 0]}` : ""));
    if (point.t) tip.append("span").text(` ${point.t}`);
    const list = tip.append("dl");
    axes.forEach((axis, index) => {
      if (point.v[index] == null) return;
      list.append("dt").text(axis.label);
      list.append("dd").text(show(axis, point.v[index]));
    });
    if (point.w) tip.append("p").text(point.w);
    const box = tip.node().getBoundingClientRect();
    const width = container.clientWidth;
    const left = at[0] + 14 + box.width > width ? at[0] - 14 - box.width : at[0] + 14;
    tip.style("left", `${Math.max(0, Math.min(left, width - box.width))}px`).style("top", `${at[1] + 12}px`);
  }
  const hideTip = () => tip.style("display", "none");

  function mark(layer, point, x, y, draw) {
    const at = [x(point.v[state.x]), y(point.v[state.y])];
    const inside = point.h ? layer.append("a").attr("href", point.h) : layer.append("g");
    inside.attr("class", "mark").attr("aria-label", `${point.n} ${point.t || ""}: ` +
      axes.map((axis, i) => (point.v[i] == null ? "" : `${axis.label} ${show(axis, point.v[i])}`)).filter(Boolean).join(", "));
    draw(inside, at);
    inside.on("mouseenter focus", () => showTip(point, at)).on("mouseleave blur", hideTip);
    return inside;
  }

  function drawBudget(x, y, width, height) {
    for (const [axis, scale, across] of [[state.x, x, true], [state.y, y, false]]) {
      const limit = axes[axis].limit;
      if (limit == null || limit < scale.domain()[0] || limit > scale.domain()[1]) continue;
      const at = scale(limit);
      const label = `budget ${short(axes[axis], limit)}`;
      svg.append("path").attr("class", "line limit").attr("d", across
        ? `M${at} ${margin.top}V${height - margin.bottom}` : `M${margin.left} ${at}H${width - margin.right}`);
      const text = svg.append("text").attr("class", "note").text(label);
      if (across) text.attr("x", at - 5).attr("y", height - margin.bottom - 8).attr("text-anchor", "end");
      else text.attr("x", margin.left + 6).attr("y", at - 5);
    }
  }

  function drawAxes(x, y, width, height) {
    const ticks = [Math.max(3, Math.floor(width / 110)), Math.max(3, Math.floor(height / 70))];
    for (const value of ticksOf(x, ticks[0])) {
      svg.append("path").attr("class", "line grid").attr("d", `M${x(value)} ${margin.top}V${height - margin.bottom}`);
      svg.append("text").attr("class", "tick").attr("x", x(value)).attr("y", height - margin.bottom + 18)
        .attr("text-anchor", "middle").text(short(axes[state.x], value));
    }
    for (const value of ticksOf(y, ticks[1])) {
      svg.append("path").attr("class", "line grid").attr("d", `M${margin.left} ${y(value)}H${width - margin.right}`);
      svg.append("text").attr("class", "tick").attr("x", margin.left - 8).attr("y", y(value) + 4)
        .attr("text-anchor", "end").text(short(axes[state.y], value));
    }
    svg.append("text").attr("class", "title").attr("x", width - margin.right).attr("y", height - 8)
      .attr("text-anchor", "end").text(axes[state.x].title);
    svg.append("text").attr("class", "title").attr("x", 4).attr("y", 16).text(axes[state.y].title);
    const arrow = axes[state.y].up ? (axes[state.x].up ? "↗" : "↖") : (axes[state.x].up ? "↘" : "↙");
    svg.append("text").attr("class", "note").attr("x", width - margin.right).attr("y", 16)
      .attr("text-anchor", "end").text(`${arrow} better`);
  }

  function trials(points, x, y) {
    const layer = svg.append("g");
    groups.forEach((name, group) => {
      const ofGroup = points.filter((point) => point.k === "trial" && (point.g || 0) === group);
      const front = frontOf(ofGroup);
      const onFront = new Set(front);
      const colour = several ? ` group-${group % 8}` : "";
      if (!state.hidden.has("trial")) {
        for (const point of ofGroup) {
          if (!onFront.has(point)) mark(layer, point, x, y, (g, at) =>
            g.append("circle").attr("class", `trial${colour}`).attr("r", 3.2).attr("cx", at[0]).attr("cy", at[1]));
        }
      }
      const ordered = [...front].sort((a, b) => a.v[state.x] - b.v[state.x]);
      layer.append("path").attr("class", `line accent${colour}`).attr("d",
        d3.line().x((point) => x(point.v[state.x])).y((point) => y(point.v[state.y]))(ordered));
      for (const point of ordered) {
        mark(layer, point, x, y, (g, at) => {
          if (/\bknee\b/.test(point.t || "")) g.append("circle").attr("class", `knee${colour}`).attr("r", 9)
            .attr("cx", at[0]).attr("cy", at[1]);
          g.append("circle").attr("class", `front${colour}`).attr("r", 5).attr("cx", at[0]).attr("cy", at[1]);
        });
      }
    });
  }

  function others(points, x, y) {
    const layer = svg.append("g");
    const shown = points.filter((point) => point.k !== "trial" && !state.hidden.has(point.k));
    const named = new Map(shown.map((point) => [point.n, point]));
    for (const point of shown) {
      const parent = named.get(point.p);
      if (!parent) continue;
      const [a, b] = [parent, point].map((end) => [x(end.v[state.x]), y(end.v[state.y])]);
      const length = Math.hypot(b[0] - a[0], b[1] - a[1]);
      if (length < 20) continue;
      const unit = [(b[0] - a[0]) / length, (b[1] - a[1]) / length];
      const end = [b[0] - 9 * unit[0], b[1] - 9 * unit[1]];
      const wing = (side) => `${end[0] - 7 * unit[0] - side * 4 * unit[1]} ${end[1] - 7 * unit[1] + side * 4 * unit[0]}`;
      layer.append("path").attr("class", "line arrow").attr("d",
        `M${a[0] + 7 * unit[0]} ${a[1] + 7 * unit[1]}L${end}M${wing(1)}L${end}L${wing(-1)}`);
    }
    const rows = [];
    for (const point of shown) {
      mark(layer, point, x, y, (g, at) => {
        const symbol = point.k === "pruned" ? "M-6 -5H6L0 6Z"
          : point.k === "stopped" ? "M0 -3a3 3 0 1 0 .01 0Z" : d3.symbol().type(symbols[point.k]).size(95)();
        g.append("path").attr("class", `model ${point.k}`).attr("d", symbol).attr("transform", `translate(${at})`);
        if (!point.s) return;
        let height = at[1] + 4;
        while (rows.some((row) => Math.abs(row[1] - height) < 13 && Math.abs(row[0] - at[0]) < 110)) height += 13;
        rows.push([at[0], height]);
        const right = at[0] < x.range()[1] - 110;
        g.append("text").attr("class", "name").attr("x", at[0] + (right ? 9 : -9)).attr("y", height)
          .attr("text-anchor", right ? "start" : "end").text(point.s);
      });
    }
  }

  function draw() {
    const width = Math.max(280, container.clientWidth || 640);
    const height = Math.round(Math.min(480, Math.max(300, 0.62 * width)));
    svg.attr("viewBox", `0 0 ${width} ${height}`).html("");
    hideTip();
    const points = data.points.filter(both);
    const shown = points.filter((point) => point.k === "trial" || !state.hidden.has(point.k));
    const x = scaleOf(state.x, shown, [margin.left, width - margin.right]);
    const y = scaleOf(state.y, shown, [height - margin.bottom, margin.top]);
    drawAxes(x, y, width, height);
    drawBudget(x, y, width, height);
    trials(points, x, y);
    others(points, x, y);
    container.dataset.axes = `${axes[state.x].name} ${axes[state.y].name}`;
  }

  const lists = { x: document.getElementById("axis-x"), y: document.getElementById("axis-y") };
  function choose(x, y) {
    state.x = x;
    state.y = y;
    lists.x.value = x;
    lists.y.value = y;
    for (const button of document.querySelectorAll("input[name=pair]")) {
      button.checked = button.value === `${x} ${y}`;
    }
    draw();
  }
  for (const button of document.querySelectorAll("input[name=pair]")) {
    button.addEventListener("change", () => choose(...button.value.split(" ").map(Number)));
  }
  lists.x.addEventListener("change", () => choose(+lists.x.value, state.y));
  lists.y.addEventListener("change", () => choose(state.x, +lists.y.value));
  for (const box of document.querySelectorAll("input[name=layer]")) {
    if (box.checked) state.hidden.delete(box.value);
    else state.hidden.add(box.value);
    box.addEventListener("change", () => {
      state.hidden[box.checked ? "delete" : "add"](box.value);
      draw();
    });
  }
  container.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") hideTip();
    if (!step) return;
    const marks = [...container.querySelectorAll("a.mark")];
    const next = marks[marks.indexOf(document.activeElement) + step];
    if (next) next.focus();
    event.preventDefault();
  });
  window.addEventListener("resize", draw);
  choose(state.x, state.y);
})();

/* A link to something inside a closed part of the page opens that part. */
(() => {
  const reveal = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
    if (target) target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  window.addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details.member")) part.open = true;
  });
  reveal();
})();

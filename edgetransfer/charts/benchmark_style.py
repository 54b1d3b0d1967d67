"""The style of a benchmark's page, light and dark."""

STYLE = (
    """
:root{color-scheme:light dark;--page:#fff;--ink:#1b1f24;--muted:#5b6470;--rule:#d9dee4;
--tag:#eef1f4;--bad:#a8271a;
--series-0:#0068b5;--series-1:#c4500a;--series-2:#00805c;--series-3:#a3428f;
--series-4:#8a6d00;--series-5:#4a5fc1;--series-6:#b0213e;--series-7:#5b6470;
--decode:#d98a00;--transform:#e9c46a;--forward:#0068b5;--head:#00805c;--others:#a8271a;--idle:#e4e8ec}
@media(prefers-color-scheme:dark){:root{--page:#14171b;--ink:#e6e9ec;--muted:#9aa4af;
--rule:#333a42;--tag:#262c33;--bad:#ff8a7a;
--series-0:#5db2f5;--series-1:#f39a5b;--series-2:#4fc9a0;--series-3:#dd8fcd;
--series-4:#d9bc4a;--series-5:#97a6f5;--series-6:#f57f94;--series-7:#9aa4af;
--decode:#e0a030;--transform:#f0d48a;--forward:#4a9fe0;--head:#4fc9a0;--others:#ff8a7a;--idle:#2b3138}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:24px 20px 48px;display:grid;gap:12px 40px}
h1{font-size:24px;margin:0 0 6px}h2{font-size:17px;margin:20px 0 4px}
h3{font-size:14px;margin:14px 0 4px}
p{margin:2px 0}.muted{color:var(--muted);font-size:13px}
section,figure,header{min-width:0;margin:0}
@media(min-width:900px){main{grid-template-columns:1fr 1fr}section,header{grid-column:1/-1}
section.half{grid-column:auto}}
.wide{overflow-x:auto;margin-top:8px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;white-space:nowrap;font-size:14px}
th,td{padding:5px 14px 5px 0;text-align:right;border-bottom:1px solid var(--rule)}
thead th{color:var(--muted);font-weight:500;font-size:13px;vertical-align:bottom}
th:first-child{text-align:left}tbody th{font-weight:600;white-space:normal;
overflow-wrap:anywhere;min-width:8em}
td small{display:block;line-height:1.1}td{vertical-align:top}tbody th{vertical-align:top}
td small,.bar small{color:var(--muted);font-size:12px}
td.fact{text-align:left;white-space:normal;overflow-wrap:anywhere;min-width:12em}
td.reason{color:var(--bad);text-align:left;white-space:normal;min-width:16em}
.mark{color:var(--bad);font-weight:600}
.tag{background:var(--tag);color:var(--muted);font-weight:400;font-size:11px;padding:1px 6px;
border-radius:8px}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 14px;padding:0;margin:6px 0;
font-size:13px}
.legend i{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:5px}
.bar{display:grid;grid-template-columns:1fr auto;margin:8px 0;font-size:13px;
font-variant-numeric:tabular-nums}
.bar b{font-weight:600;overflow-wrap:anywhere}.bar .stack,.bar small{grid-column:1/-1}
.stack{display:flex;height:16px;margin:2px 0;border-radius:2px;overflow:hidden}
.stack i{display:block;flex:none}
svg{display:block;width:100%;height:auto;max-width:560px;margin-top:4px}
svg text{fill:currentColor;font-size:12px}svg .label{fill:var(--ink)}svg .title{fill:var(--muted)}
svg .grid{stroke:var(--rule);stroke-width:1}svg .axis{stroke:var(--muted);fill:none}
svg .reference{stroke:var(--muted);stroke-width:1.4;fill:none}
svg .leader{stroke:var(--muted);stroke-width:.7}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:13px;background:var(--tag);
padding:8px 10px;border-radius:4px;margin:6px 0}
ul{padding-left:20px;margin:4px 0}li{margin:3px 0}
@media(max-width:520px){svg text{font-size:14px}main{padding:16px 14px 40px}}
@media print{:root{color-scheme:light}.wide{overflow:visible}}
"""
    + "".join(
        f".stage-{name}{{background:var(--{name})}}"
        for name in ("decode", "transform", "forward", "head", "others", "idle")
    )
    + "".join(f".series-{i}{{background:var(--series-{i})}}" for i in range(8))
)

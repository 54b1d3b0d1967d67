"""The style of the pages about runs, light and dark, and the little script that they have."""

STYLE = """
:root{color-scheme:light dark;--page:#fff;--ink:#1b1f24;--muted:#545d68;--rule:#d9dee4;
--card:#f4f6f8;--bad:#a8271a;--good:#00694d;--link:#0059a0;
--k0:#0068b5;--k1:#c4500a;--k2:#00805c;--k3:#a3428f;--k4:#8a6d00;--k5:#4a5fc1;--k6:#b0213e;
--k7:#5b6470}
@media(prefers-color-scheme:dark){:root{--page:#14171b;--ink:#e6e9ec;--muted:#a3adb8;
--rule:#333a42;--card:#1e2329;--bad:#ff8a7a;--good:#4fc9a0;--link:#7cc1f7;
--k0:#5db2f5;--k1:#f39a5b;--k2:#4fc9a0;--k3:#dd8fcd;--k4:#d9bc4a;--k5:#97a6f5;--k6:#f57f94;
--k7:#9aa4af}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
main{max-width:1120px;margin:0 auto;padding:24px 20px 56px}
h1{font-size:24px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:18px;margin:36px 0 4px}h3{font-size:15px;margin:16px 0 4px;font-weight:600}
p{margin:4px 0;max-width:46em}.muted,small{color:var(--muted);font-size:13px}
a{color:var(--link)}
nav ul{display:flex;flex-wrap:wrap;gap:2px 16px;list-style:none;margin:12px 0 0;padding:0;
font-size:14px}
nav a{display:inline-block;padding:5px 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;
margin:18px 0 0}
.tiles div{background:var(--card);border-radius:8px;padding:10px 14px;min-width:0}
.tiles dt{font-size:13px;color:var(--muted)}.tiles dd{margin:0;font-size:22px;line-height:1.3;
font-variant-numeric:tabular-nums;overflow-wrap:anywhere}.tiles small{display:block}
.warn{border-left:3px solid var(--bad);padding:2px 12px;margin:10px 0;overflow-wrap:anywhere}
.wide{overflow-x:auto;margin-top:8px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:14px}
th,td{padding:5px 16px 5px 0;text-align:right;border-bottom:1px solid var(--rule);
vertical-align:top;white-space:nowrap}
thead th{color:var(--muted);font-weight:500;font-size:13px}
th:first-child,.left{text-align:left}tbody th{font-weight:600;white-space:normal;
overflow-wrap:anywhere;min-width:10em}
td.left{white-space:normal;min-width:14em}
.range{width:120px;height:14px;vertical-align:middle}.range line{stroke:var(--muted);
stroke-width:2}.range circle{fill:var(--k0)}.range rect{fill:var(--rule)}
.photos{display:grid;grid-template-columns:repeat(auto-fill,minmax(136px,1fr));gap:10px;
list-style:none;margin:10px 0;padding:0}
.photos li{background:var(--card);border-radius:8px;padding:8px;font-size:13px;line-height:1.35;
min-width:0;overflow-wrap:anywhere}
.photo{display:block;width:96px;height:96px;margin:0 auto 6px}
.photo.none{border:1px dashed var(--rule)}
.album{position:absolute;width:0;height:0}
.bad{color:var(--bad)}.good{color:var(--good)}
.groups{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(280px,100%),1fr));
gap:10px 24px}.group{border-top:1px solid var(--rule);padding-top:6px;min-width:0}
.matrix{display:block;height:auto}.matrix text{font-size:11px;fill:var(--ink)}
.matrix .hit{fill:var(--good)}.matrix .miss{fill:var(--bad)}.matrix .none{fill:var(--card)}
.matrix .on,.matrix .over{font-size:10px;pointer-events:none}.matrix .on{fill:var(--page)}
.matrix a:focus rect,.matrix a:hover rect{stroke:var(--ink);stroke-width:2}
.cell{display:none;border-top:2px solid var(--link);margin-top:10px}.cell:target{display:block}
.map{display:block;width:100%;height:auto;max-width:860px;background:var(--card);
border-radius:8px}
.map circle{stroke:var(--card);stroke-width:.6}.map circle.miss{stroke:var(--ink);
stroke-width:1.6}
#tip{position:fixed;z-index:2;background:var(--page);border:1px solid var(--rule);
border-radius:8px;padding:8px;font-size:13px;max-width:220px;pointer-events:none;
overflow-wrap:anywhere;box-shadow:0 2px 10px #0004}
code,pre{font-family:ui-monospace,"SFMono-Regular",Menlo,Consolas,monospace;font-size:13px}
pre{background:var(--card);border-radius:8px;padding:10px 14px;white-space:pre-wrap;
overflow-wrap:anywhere;margin:8px 0}
dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:2px 18px;margin:8px 0;
font-size:14px}dl.facts dt{color:var(--muted)}dl.facts dd{margin:0;overflow-wrap:anywhere;
min-width:0}
details{margin:8px 0}summary{cursor:pointer;padding:4px 0}
@media(max-width:520px){main{padding:16px 14px 40px}th,td{padding-right:10px}
tbody th{min-width:7em}td.left{min-width:7em}dl.facts{grid-template-columns:1fr}
dl.facts dd{margin-bottom:6px}.photos{grid-template-columns:repeat(auto-fill,minmax(112px,1fr))}}
@media print{:root{color-scheme:light}.wide{overflow:visible}nav{display:none}}
""" + "".join(f".f{i}{{fill:var(--k{i})}}" for i in range(8))

CHART_STYLE = (
    """
.chart svg{display:block;width:100%;height:auto;max-width:640px;margin-top:10px}
.chart text{fill:currentColor;font-size:12px}.chart .title{fill:var(--muted)}
.chart .grid{stroke:var(--rule);stroke-width:1}.chart .axis{stroke:var(--muted);fill:none}
.chart .reference{stroke:var(--muted)}
.chart{"""
    + "".join(f"--series-{i}:var(--k{i});" for i in range(8))
    + "}\n"
)

# A point of the map says which photo it is: its picture is shown beside the pointer, or where the
# keyboard has gone. Without the script the browser shows the point's title.
SCRIPT = """
(function(){
var map=document.querySelector(".map"),tip=document.getElementById("tip");
if(!map||!tip)return;
var SVG="http://www.w3.org/2000/svg";
function show(point){
tip.textContent="";
var id="p"+point.dataset.p;
if(document.getElementById(id)){
var picture=document.createElementNS(SVG,"svg"),use=document.createElementNS(SVG,"use");
picture.setAttribute("class","photo");picture.setAttribute("viewBox","0 0 96 96");
use.setAttribute("href","#"+id);picture.appendChild(use);tip.appendChild(picture);}
var title=point.querySelector("title");
tip.appendChild(document.createTextNode(title?title.textContent:""));
tip.hidden=false;
var box=point.getBoundingClientRect(),w=tip.offsetWidth,h=tip.offsetHeight;
var left=Math.min(Math.max(4,box.left+12),document.documentElement.clientWidth-w-4);
var top=box.top-h-8<4?box.bottom+8:box.top-h-8;
tip.style.left=left+"px";tip.style.top=top+"px";}
function hide(){tip.hidden=true;}
map.addEventListener("pointerover",function(e){
if(e.target.dataset&&e.target.dataset.p)show(e.target);else hide();});
map.addEventListener("pointerleave",hide);
window.addEventListener("scroll",hide,{passive:true});
})();
"""

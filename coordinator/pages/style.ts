/**
 * How all pages look, inlined under the response's nonce. Colours are named once, for light and for dark; the log is a
 * terminal and stays dark, since that is what programs choose their colours for.
 */
import { rgb } from './ansi.ts'

export const css = `
:root{color-scheme:light dark;--ground:#f7f7f5;--sheet:#fff;--line:#e3e3de;--line-strong:#c9c9c2;--text:#1b1d20;--soft:#5d6168;--link:#17617f;--brand:#17617f;
--good:#157347;--bad:#bf2d26;--allowed:#6b6000;--alarm:#a44a00;--late:#a44a00;--going:#1c5fc4;--pending:#5d6168;--held:#8a6100;--stopped:#66606e;--none:#6c7077;
--code:#f0f0ec;--bad-ground:#fdf0ef;--held-ground:#fbf5e3;--mono:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace}
@media (prefers-color-scheme:dark){:root{--ground:#131517;--sheet:#1a1d20;--line:#2a2e33;--line-strong:#41464d;--text:#e4e6e9;--soft:#9aa1aa;--link:#6fb7d4;--brand:#6fb7d4;
--good:#4cc38a;--bad:#ff7b72;--allowed:#d6ca5a;--alarm:#f0a05a;--late:#f0a05a;--going:#78adff;--pending:#9aa1aa;--held:#dcb44e;--stopped:#a9a2b4;--none:#8b929b;
--code:#23272b;--bad-ground:#2d1b1b;--held-ground:#2a2415}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--text);font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;font-variant-numeric:tabular-nums}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:3px}main:focus{outline:0}
code,pre,.branch,.tag{font-family:var(--mono);font-size:.92em}
h1,h2,h3,p,ul,dl,pre{margin:0}ul{padding:0;list-style:none}
h1{font-size:19px;line-height:1.3;font-weight:650;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:16px}
.visually-hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.skip{position:absolute;left:-999px}.skip:focus{left:8px;top:8px;background:var(--sheet);padding:6px 10px;z-index:9}
.top{display:flex;align-items:center;gap:20px;padding:0 20px;height:46px;background:var(--sheet);border-bottom:1px solid var(--line)}
.brand{display:flex;align-items:center;gap:7px;color:var(--text);font-weight:650;font-size:15px;letter-spacing:-.01em}.brand:hover{text-decoration:none}
.mark{width:22px;height:22px;fill:none;stroke:var(--brand);stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
.top nav{display:flex;align-self:stretch;gap:4px}
.top nav a{display:flex;align-items:center;padding:0 8px;color:var(--soft);border-bottom:2px solid transparent;margin-bottom:-1px}
.top nav a:hover{color:var(--text);text-decoration:none}.top nav a[aria-current]{color:var(--text);border-color:var(--brand)}
.who{margin-left:auto;display:flex;align-items:center;gap:10px;color:var(--soft);min-width:0}.who span{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}.who button{flex:none}
main{display:block;max-width:1180px;margin:0 auto;padding:18px 20px 48px}
button{font:inherit;color:var(--text);background:var(--sheet);border:1px solid var(--line-strong);border-radius:6px;padding:4px 12px;cursor:pointer}
button:hover{border-color:var(--soft)}button:disabled{opacity:.6;cursor:default}
.primary{background:var(--brand);border-color:var(--brand);color:var(--ground);font-weight:600}
.quiet{border-color:transparent;background:none;color:var(--soft);padding:4px 6px}.quiet:hover{color:var(--text)}
input,textarea,select{font:inherit;color:inherit;background:var(--sheet);border:1px solid var(--line-strong);border-radius:6px;padding:4px 9px;width:100%}
textarea{font-family:var(--mono);font-size:13px;resize:vertical;display:block}
input::placeholder,textarea::placeholder{color:var(--soft);opacity:.75}[aria-invalid]{border-color:var(--bad)}
.error{color:var(--bad)}.problem{background:var(--bad-ground);border-left:3px solid var(--bad);padding:7px 11px;overflow-wrap:anywhere;border-radius:0 5px 5px 0}
.state{display:inline-flex;align-items:baseline;gap:6px;font-weight:600;white-space:nowrap}
.state svg{width:14px;height:14px;fill:currentColor;flex:none;align-self:center}
.good{color:var(--good)}.bad{color:var(--bad)}.allowed{color:var(--allowed)}.alarm{color:var(--alarm)}.late{color:var(--late)}.going{color:var(--going)}.pending{color:var(--pending)}.held{color:var(--held)}.stopped{color:var(--stopped)}.none .state,.state.none{color:var(--none)}
@media (prefers-reduced-motion:no-preference){.going svg{animation:turn 1.4s linear infinite}@keyframes turn{to{transform:rotate(1turn)}}}
.sha{background:var(--code);border-radius:4px;padding:1px 5px}
.branch{overflow-wrap:anywhere}.number,.where,.agents,time,.took,.facts,.crumbs,.hint,.seen,.host{color:var(--soft)}
.took,time{white-space:nowrap}.facts .took:empty{display:none}
.crumbs{font-size:13px;margin-bottom:4px}
.head{margin-bottom:16px}.facts{display:flex;flex-wrap:wrap;align-items:baseline;gap:2px 14px;margin-top:3px;overflow-wrap:anywhere}
.filters{display:flex;flex-wrap:wrap;gap:8px 16px;align-items:center;justify-content:space-between;margin-bottom:10px}
.filters nav{display:flex;flex-wrap:wrap;gap:2px}
.filters nav a{padding:3px 10px;border-radius:99px;color:var(--soft)}.filters nav a:hover{text-decoration:none;color:var(--text)}
.filters nav a[aria-current]{background:var(--text);color:var(--ground)}
.filters form{display:flex;gap:6px}.filters input{width:170px}
.builds,.jobs,.projects,.agents-list,.attempts{background:var(--sheet);border:1px solid var(--line);border-radius:8px}
.builds>li,.jobs .row,.projects>li,.agents-list>li{display:grid;align-items:baseline;gap:1px 16px;padding:8px 14px;position:relative}
.builds>li+li,.jobs li+li,.group ul>li,.projects>li+li,.agents-list>li+li{border-top:1px solid var(--line)}
.builds>li:hover,.jobs .row:has(a.title):hover{background:color-mix(in srgb,var(--link) 5%,transparent)}
.builds>li{grid-template:"state title agents took time" auto "state where agents took time" auto/104px minmax(0,1fr) minmax(0,160px) 72px 92px}
.builds .state,.jobs .state{grid-area:state}.title{grid-area:title;color:var(--text);font-weight:500;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.title::after{content:"";position:absolute;inset:0}.where{grid-area:where;display:flex;flex-wrap:wrap;align-items:baseline;gap:0 10px;font-size:13px;min-width:0;overflow-wrap:anywhere}.where a{position:relative;z-index:1}
.builds .agents{grid-area:agents;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.builds .took,.jobs .took{grid-area:took;text-align:right}.builds time{grid-area:time;text-align:right}
.pages{display:flex;gap:18px;padding:14px 2px}
p.none{padding:26px 2px;color:var(--soft)}
.empty{max-width:680px;margin:7vh auto 0;display:grid;gap:12px}
.empty pre,.job pre{background:var(--code);border-radius:7px;padding:11px 14px;overflow-x:auto;font-size:13px;white-space:pre-wrap;overflow-wrap:anywhere}
.start{margin-bottom:16px}.start summary{cursor:pointer;color:var(--link);width:max-content}
.start form{display:grid;grid-template-columns:1fr 1fr;gap:10px 16px;background:var(--sheet);border:1px solid var(--line);border-radius:8px;padding:14px;margin-top:8px}
.start label span,.sign-in label span{display:block;color:var(--soft);font-size:13px;margin-bottom:2px}.start .wide,.start .problem{grid-column:1/-1}.start label .error{color:var(--bad);margin:2px 0 0}
.start button{justify-self:start}
.build-head{display:grid;grid-template-columns:minmax(0,1fr) auto;gap:0 16px;align-items:start}
.build-head .state{grid-column:1/-1;font-size:15px}.build-head .state svg{width:17px;height:17px}.build-head .facts{grid-column:1/-1}
.build-head .number{font-weight:400}.actions{display:flex;gap:8px}
.jobs{margin-bottom:16px}.jobs .row{grid-template:"state title where took" auto/144px minmax(0,1fr) fit-content(min(320px,34%)) 72px}
.group h2{font-size:inherit;font-weight:650}.group summary{cursor:pointer;list-style:none}.group summary::-webkit-details-marker{display:none}.jobs .group summary:hover{background:color-mix(in srgb,var(--link) 5%,transparent)}
.group h2::before{content:"";display:inline-block;width:6px;height:6px;margin-right:9px;border:solid var(--soft);border-width:0 1.5px 1.5px 0;transform:rotate(-45deg);vertical-align:2px}.group details[open]>summary h2::before{transform:translateY(-2px) rotate(45deg)}
.group ul{margin-left:20px;border-left:3px solid var(--line)}
.wait{background:var(--ground);min-height:7px;padding:0 14px;font-size:12.5px;color:var(--soft);text-align:center;overflow-wrap:anywhere}
.answers{grid-column:2/-1;margin:0;font-size:13px;overflow-wrap:anywhere;display:flex;flex-wrap:wrap;gap:0 16px}.answers dt,.answers dd{display:inline;margin:0}.answers dt{color:var(--soft)}.answers dd{white-space:pre-line}
.jobs .row:has([aria-current]){box-shadow:inset 3px 0 var(--brand)}.jobs .where{justify-content:end;text-align:right}.superseded .title{color:var(--soft);font-weight:400}
.annotations{display:grid;gap:8px;margin-bottom:16px}
.annotation{--side:var(--line-strong);min-width:0;max-height:min(60vh,560px);overflow:auto;background:var(--sheet);border:1px solid var(--line);border-left:3px solid var(--side);border-radius:0 8px 8px 0;padding:9px 14px;overflow-wrap:anywhere}
.as-info{--side:var(--going)}.as-success{--side:var(--good)}.as-warning{--side:var(--held);background:var(--held-ground)}.as-error{--side:var(--bad);background:var(--bad-ground)}
.annotation>*{margin:0}.annotation>*+*{margin-top:8px}.annotation :is(h3,h4,h5,h6){margin:0;font-size:15px}.annotation>*+:is(h3,h4,h5,h6){margin-top:12px}.annotation :is(ul,ol){margin-bottom:0;padding-left:22px}.annotation ul{list-style:disc}.annotation li>*{margin-top:2px}
.annotation a{text-decoration:underline}.annotation code{background:var(--code);border-radius:4px;padding:0 4px}.annotation pre{background:var(--code);border-radius:7px;padding:9px 12px;white-space:pre-wrap;font-size:13px}.annotation pre code{background:none;padding:0}
.annotation blockquote{margin-inline:0;padding-left:11px;border-left:3px solid var(--line-strong)}.annotation summary{cursor:pointer}.annotation details>*+*{margin-top:8px}.annotation hr{border:0;border-top:1px solid var(--line-strong)}
.annotation table{border-collapse:collapse}.annotation th,.annotation td{border:1px solid var(--line-strong);padding:3px 9px;text-align:left;vertical-align:top}
.annotation .right{text-align:right}.annotation .center{text-align:center}
.annotation .term{background:var(--paper);color:var(--ink);font:12.5px/1.5 var(--mono);tab-size:8}
.job{display:grid;gap:9px;margin-bottom:16px}.command code{font-size:13px;overflow-wrap:anywhere}.command::before{content:"$ ";color:var(--soft);font-family:var(--mono)}
.job summary{cursor:pointer}.job details pre{margin-top:6px}
.waiting{background:var(--held-ground);border-left:3px solid var(--held);padding:7px 11px;border-radius:0 5px 5px 0}
.untold{background:var(--held-ground);border-left:3px solid var(--held);padding:7px 11px;border-radius:0 5px 5px 0;margin-bottom:16px;overflow-wrap:anywhere}.untold li+li{margin-top:4px}
.ask{background:var(--held-ground);border-left:3px solid var(--held);border-radius:0 8px 8px 0;padding:12px 14px;margin-bottom:16px;max-width:720px;overflow-wrap:anywhere}.ask h2{font-size:15px}.prompt{white-space:pre-line;margin-top:3px}
.ask form{display:grid;gap:12px;margin-top:10px}.question{border:0;margin:0;padding:0;min-width:0;display:grid;gap:3px}.question>label,.question legend{padding:0;font-weight:550}.ask p.hint,.ask .error{font-size:13px}.ask button{justify-self:start}
.question>.option{display:flex;gap:8px;align-items:baseline;font-weight:400}.option input{width:auto;flex:none}
.artifacts{margin-bottom:16px}.artifacts h2{font-size:15px}.artifacts ul{list-style:none;margin:5px 0 0;padding:9px 14px;max-height:19em;overflow:auto;background:var(--sheet);border:1px solid var(--line);border-radius:8px}.artifacts li{display:flex;gap:4px 16px;justify-content:space-between;padding:1.5px 0}.artifacts li a{unicode-bidi:isolate;overflow-wrap:anywhere}.size{color:var(--soft);font-size:13px;white-space:nowrap}
.offers{display:flex;flex-wrap:wrap;gap:3px 6px;color:var(--soft)}.tag{background:var(--code);border-radius:4px;padding:0 6px;color:var(--text);overflow-wrap:anywhere}
.attempts{border-collapse:separate;border-spacing:0;width:100%}
.attempts td{overflow-wrap:anywhere}.attempts th,.attempts td{text-align:left;padding:5px 14px;font-weight:400;vertical-align:baseline}.attempts thead th{color:var(--soft);font-size:12.5px}
.attempts tbody tr>*{border-top:1px solid var(--line)}.attempts .selected th{box-shadow:inset 3px 0 var(--brand)}.how{width:40%}
.projects>li{grid-template:"title repository branch" auto/minmax(0,240px) minmax(0,1fr) auto}.projects .repository{grid-area:repository;color:var(--soft);overflow-wrap:anywhere}.projects .branch{grid-area:branch}
.agents-list>li{grid-template-columns:104px minmax(0,1fr) minmax(0,280px) 92px 86px}
.about{display:grid;gap:2px;overflow-wrap:anywhere}.name{font-weight:550}.reason{color:var(--held)}.seen,.host{text-align:right}
.slots{display:flex;flex-wrap:wrap;align-items:center;gap:2px 9px}.squares{display:inline-flex;gap:3px;flex-wrap:wrap}.squares i{width:9px;height:9px;border-radius:2px;border:1px solid var(--line-strong)}.squares .used{background:var(--going);border-color:var(--going)}
.held{color:inherit}.state.held{color:var(--held)}.slots .held{display:flex;flex-wrap:wrap;gap:0 9px}
.sign-in{max-width:400px;margin:9vh auto 0;display:grid;gap:13px}.sign-in .hint{font-size:13px}
.log,.term{--paper:#15181b;--ink:#d8dce1;--faint:#79818b}.log{background:var(--paper);color:var(--ink);border-radius:8px;overflow:hidden;color-scheme:dark;border:1px solid var(--line)}
.log-head{display:flex;align-items:baseline;gap:14px;padding:6px 14px;border-bottom:1px solid #2a2f34}.log-head h3{font-size:13px;font-weight:600}
.log-head a,.earlier a{color:#7cc0dc}.log-state{color:#9aa1aa;margin-right:auto;font-size:13px}.follow{color:#9aa1aa}.follow:hover,.follow[aria-pressed=true]{color:#e4e6e9}
.follow[aria-pressed=true]::before{content:"↓ "}
.lines{max-height:min(76vh,900px);min-height:5em;overflow:auto;padding:8px 0;font:12.5px/1.5 var(--mono);overflow-anchor:none}
.lines>div{padding:0 14px 0 66px;min-height:1.5em;white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate;tab-size:8}
.lines>div>a[data-n]{float:left;margin-left:-66px;width:52px;text-align:right;color:var(--faint);user-select:none}
.lines>div>a[data-n]::before{content:attr(data-n)}.lines>div:hover>a[data-n]{color:var(--ink);text-decoration:none}
.lines>div:target{background:#3a3216}.lines>div:target>a[data-n]{color:#f2d675}
.lines>div:not([id]){padding-left:14px}.lines p{padding:0 14px 6px;color:var(--faint)}
@media (max-width:640px){
main{padding:12px 12px 40px}.top{padding:0 12px;gap:5px}.top nav{gap:0}.top nav a{padding:0 6px}.who span{display:none}.who button{padding:4px 2px}
.builds>li{grid-template:"state took time" auto "title title title" auto "where where where" auto/1fr auto auto;padding:9px 12px;gap:2px 12px}.builds .agents{display:none}
.title{white-space:normal;overflow-wrap:anywhere}
.filters form{flex:1}.filters input{width:100%}
.jobs .row{grid-template:"state took" auto "title title" auto "where where" auto/1fr auto;padding:9px 12px}.jobs .where:empty{display:none}.answers{grid-column:1/-1}.group ul{margin-left:9px}.jobs .where{justify-content:start;text-align:left}
.start form{grid-template-columns:1fr}
.build-head{grid-template-columns:1fr auto}.build-head .state{grid-column:1}.build-head .actions{grid-column:2;grid-row:1}.build-head h1{grid-column:1/-1}
.attempts,.attempts tbody{display:block}.attempts thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);display:block}.attempts tbody tr{display:flex;flex-wrap:wrap;gap:0 12px;padding:7px 12px}.attempts tbody tr+tr{border-top:1px solid var(--line)}.attempts tbody tr>*{border:0;padding:0;width:auto}.attempts .how:empty{display:none}.attempts .selected{box-shadow:inset 3px 0 var(--brand)}.attempts .selected th{box-shadow:none}
.projects>li{grid-template:"title branch" auto "repository repository" auto/minmax(0,1fr) auto;padding:9px 12px}
.agents-list>li{grid-template:"state seen" auto "about about" auto "slots host" auto/1fr auto;padding:9px 12px;gap:3px 12px}.agents-list .state{grid-area:state}.about{grid-area:about}.slots{grid-area:slots}.seen{grid-area:seen}.host{grid-area:host}
.log{margin:0 -12px;border-radius:0;border-width:1px 0}.lines{font-size:12px}.lines>div{padding:0 10px 0 46px}.lines>div>a[data-n]{margin-left:-46px;width:38px}
input,textarea,select{font-size:16px}}
@media print{.top,.actions,.start,.filters{display:none}.lines{max-height:none}}
`

/** The first 16 colours, chosen to be legible on the log's paper. */
const BASE = ['#7f8894', '#ff7b72', '#56c271', '#e0b04c', '#6cb0ff', '#d695f0', '#4fc3cf', '#d0d5db', '#8b949e', '#ffa198', '#7ee29a', '#f2d675', '#a5d2ff', '#ecbcff', '#83e0ea', '#ffffff'] as const
/** The same as grounds: those that programs put white text on are darker, those that they put black text on lighter. */
const BASE_GROUND = ['#3a4149', '#a32a24', '#45a860', '#d0a030', '#1f57a8', '#763a92', '#3fa9b4', '#b4bbc3', '#5c6670', '#d9534b', '#6fd38b', '#ecca5e', '#2f6cc0', '#9150af', '#6fd0da', '#eceff2'] as const
const PAPER = [0x15, 0x18, 0x1b] as const

/** What the classes of `ansi.ts` look like: `fN` text, `gN` ground; on the bare paper, dark text is lifted until it can be read. */
export const ansiCss = [
  '.ansi .b{font-weight:700}.ansi .d{opacity:.65}.ansi .i{font-style:italic}.ansi .u{text-decoration:underline}.ansi .s{text-decoration:line-through}.ansi .u.s{text-decoration:underline line-through}',
  '.ansi .cut{color:var(--faint);font-style:italic}.lines div a:not([data-n]),.term a{color:#7cc0dc;text-decoration:underline}',
  '.ansi .gi{background:var(--ink)}',
  ...BASE_GROUND.map((colour, index) => ground(`g${index}`, colour)),
  // Inverse text: the ground has the colour that the text would have had.
  ...BASE.map((colour, index) => ground(`v${index}`, colour)),
  ...Array.from({ length: 240 }, (_, index) => ground(`g${index + 16}`, hex(rgb(index + 16)))),
  // Text after grounds: a text colour that was chosen wins over the one that a ground brings.
  '.ansi .fi{color:var(--paper)}',
  ...BASE.map((colour, index) => `.ansi .f${index}{color:${colour}}`),
  '.ansi .f0.on{color:#0d0f11}',
  ...Array.from({ length: 240 }, (_, index) => index + 16).flatMap((colour) => {
    const own = rgb(colour)
    const lifted = lift(own)
    const rule = `.ansi .f${colour}{color:${hex(lifted)}}`
    return lifted === own ? [rule] : [rule, `.ansi .f${colour}.on{color:${hex(own)}}`]
  }),
].join('\n')

/** A ground, with text on it that can be read where none was chosen: at this luminance black and white have the same contrast, 4.58. */
function ground(name: string, colour: string): string {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16))
  return `.ansi .${name}{background:${colour};color:${luminance([red, green, blue]) > 0.179 ? '#000' : '#fff'}}`
}

type Rgb = readonly [number, number, number]

/** Towards white until the contrast with the paper is 4.5 (WCAG 1.4.3). */
function lift(colour: Rgb): Rgb {
  if (contrast(colour) >= 4.5) return colour
  for (let share = 0.05; ; share += 0.05) {
    const mixed = (value: number) => Math.round(value + (255 - value) * share)
    const lighter: Rgb = [mixed(colour[0]), mixed(colour[1]), mixed(colour[2])]
    if (contrast(lighter) >= 4.5) return lighter
  }
}

function contrast(colour: Rgb): number {
  return (luminance(colour) + 0.05) / (luminance(PAPER) + 0.05)
}

function luminance([red, green, blue]: Rgb): number {
  const linear = (value: number) => (value <= 10 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4)
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

function hex(colour: Rgb): string {
  return `#${colour.map((value) => value.toString(16).padStart(2, '0')).join('')}`
}

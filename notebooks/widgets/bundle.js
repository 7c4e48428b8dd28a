/* splatworks widgets, from sources 0c5c6d6d7ec6c3ec8af3cd7bbac5306e9952ee0d9b4ce3ba682e7b5a16508949 */
var p=`.splatworks {
  --sw-ink: var(--jp-ui-font-color1, #22262b);
  --sw-faint: var(--jp-ui-font-color2, #6b7480);
  --sw-line: var(--jp-border-color2, #d5d9de);
  --sw-paper: var(--jp-layout-color1, #ffffff);
  --sw-shade: var(--jp-layout-color2, #f0f2f4);
  --sw-accent: #e8833a;
  color: var(--sw-ink);
  font: 13px/1.4 var(--jp-ui-font-family, system-ui, sans-serif);
  max-width: 1100px;
  position: relative;
}
@media (prefers-color-scheme: dark) {
  .splatworks {
    --sw-ink: var(--jp-ui-font-color1, #e4e7eb);
    --sw-faint: var(--jp-ui-font-color2, #9aa4af);
    --sw-line: var(--jp-border-color2, #3a4048);
    --sw-paper: var(--jp-layout-color1, #16191d);
    --sw-shade: var(--jp-layout-color2, #23272d);
  }
}
.splatworks *, .splatworks { box-sizing: border-box }
.splatworks[data-state="loading"]:empty::after { content: "loading\u2026"; color: var(--sw-faint) }
.splatworks .sw-error { border-left: 3px solid #c8443c; margin: 0; padding: 6px 10px; white-space: pre-wrap }
.splatworks .sw-bar { align-items: center; display: flex; flex-wrap: wrap; gap: 6px 10px; min-height: 30px; padding: 3px 0 }
.splatworks .sw-bar .sw-space { flex: 1 }
.splatworks .sw-faint { color: var(--sw-faint) }
.splatworks .sw-numbers { font-variant-numeric: tabular-nums }
.splatworks button, .splatworks select, .splatworks input[type="search"], .splatworks input[type="number"] {
  background: var(--sw-shade); border: 1px solid var(--sw-line); border-radius: 4px; color: inherit;
  font: inherit; height: 26px; padding: 0 8px;
}
.splatworks button { cursor: pointer }
.splatworks button:hover { border-color: var(--sw-accent) }
.splatworks button[aria-pressed="true"] { background: var(--sw-accent); border-color: var(--sw-accent); color: #fff }
.splatworks button:disabled { cursor: default; opacity: 0.5 }
.splatworks input[type="range"], .splatworks input[type="checkbox"] { accent-color: var(--sw-accent); margin: 0 }
.splatworks :focus-visible { outline: 2px solid var(--sw-accent); outline-offset: 1px }
.splatworks label { align-items: center; display: inline-flex; gap: 5px }
.splatworks canvas { display: block }
.splatworks .sw-stage { background: #111; border-radius: 6px; overflow: hidden; position: relative; touch-action: none; width: 100% }
.splatworks .sw-stage > canvas { inset: 0; position: absolute }
.splatworks .sw-note {
  background: #000a; border-radius: 4px; bottom: 6px; color: #fff; font-size: 12px; left: 6px;
  max-width: calc(100% - 12px); padding: 1px 7px; pointer-events: none; position: absolute;
}
.splatworks .sw-legend { align-items: center; display: inline-flex; gap: 6px }
.splatworks .sw-legend canvas { border-radius: 2px; height: 10px; width: 120px }
/* The still picture before a living widget stands for it where it does not live. */
.jp-OutputArea-child:has(> .jp-RenderedImage):has(+ .jp-OutputArea-child .splatworks:not([data-state="failed"])) { display: none }
`;function i(a,t={},...s){let e=document.createElement(a);for(let[o,r]of Object.entries(t))r==null||r===!1||(o.startsWith("on")?e.addEventListener(o.slice(2),r):o==="text"?e.textContent=r:o==="style"?Object.assign(e.style,r):e.setAttribute(o,r===!0?"":r));return e.append(...s.filter(o=>o!=null)),e}var h=1200,u=960;function w(a){let t=a instanceof ShadowRoot?a:document.head;t.querySelector("style[data-splatworks]")||t.append(i("style",{"data-splatworks":!0,text:p}))}var n=class{constructor(t,s){this.model=t,this.alone=!!t.alone,this.closed=!1,this.root=i("div",{class:"splatworks",role:"group","aria-label":t.get("alt"),"data-state":"loading"}),this.ends=[],this.answers=new Map,this.asked=0,s.append(this.root),w(s.getRootNode()),this.listen("msg:custom",(e,o)=>this.#e(e,o))}get(t){return this.model.get(t)}set(t){for(let[s,e]of Object.entries(t))this.model.set(s,e);this.model.save_changes()}listen(t,s){this.model.on(t,s),this.ends.push(()=>this.model.off(t,s))}onClose(t){this.ends.push(t)}send(t,s=[]){this.alone||this.model.send(t,void 0,s)}ask(t){if(this.alone)return Promise.resolve(null);let s=++this.asked;return new Promise(e=>{this.answers.set(s,e),this.send({...t,id:s})})}#e(t,s){let e=this.answers.get(t?.answers);e&&(this.answers.delete(t.answers),e({content:t,buffers:s??[]}))}ready(t){t&&this.ends.push(t),this.closed?this.#t():this.root.dataset.state==="loading"&&(this.root.dataset.state="ready")}fail(t){console.error(t),this.root.dataset.state="failed",this.root.replaceChildren(i("p",{class:"sw-error",role:"alert",text:`${t.message??t}`}))}changed(t,s="image/jpeg"){clearTimeout(this.stillTimer),!(this.alone||this.closed)&&(this.stillTimer=setTimeout(()=>this.#s(t,s),h))}async#s(t,s){let e=await(typeof t=="function"?t():t);if(!e||this.closed||!e.width)return;let o=Math.min(1,u/e.width),r=i("canvas",{width:Math.round(e.width*o),height:Math.round(e.height*o)});r.getContext("2d").drawImage(e,0,0,r.width,r.height);let l=await new Promise(d=>r.toBlob(d,s,.9));l&&!this.closed&&this.send({type:"still",mime:s},[await l.arrayBuffer()])}close(){this.closed=!0,clearTimeout(this.stillTimer),this.#t(),this.root.remove()}#t(){for(let t of this.ends.splice(0))try{t()}catch(s){console.error(s)}}};var c={};function v({model:a,el:t}){let s=a.get("_kind"),e=new n(a,t);return s in c?(Promise.resolve().then(()=>c[s](e)).then(o=>e.ready(o)).catch(o=>e.fail(o)),()=>e.close()):(e.fail(new Error(`this bundle has no widget of kind "${s}"`)),()=>e.close())}export{v as show};

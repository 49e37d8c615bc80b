//! What the page looks like: light and dark by the reader's choice, on telephones, desks and paper.

use crate::figure::chart::style;

/// No rule names anything outside the page, and none has a character that would have to be escaped.
const PAGE: &str = "
:root{color-scheme:light dark}
*{box-sizing:border-box}
body{margin:0;font:16px/1.5 system-ui,sans-serif;background:#fff;color:#1a1a1a}
main{max-width:920px;margin:0 auto;padding:16px}
h1{font-size:1.25rem;line-height:1.3;margin:.2em 0}
h2{font-size:1.1rem;margin:2em 0 .4em}
p{margin:.4em 0}
.kind,.soft,.place{color:#4d4d4d}
.kind,.place{font-size:.85rem}
.answer{font-size:1.3rem;line-height:1.35;margin:.8em 0;font-weight:600}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(220px,1fr));gap:12px;margin:1em 0}
.tiles div{border:1px solid #c8c8c8;border-radius:6px;padding:10px 12px}
.tiles dt{font-size:.85rem;color:#4d4d4d}
.tiles dd{margin:.2em 0 0;font-size:1.15rem;font-weight:600}
.caveats{font-size:.9rem;border-left:3px solid #e69f00;margin:.8em 0;padding:.2em 0 .2em 1.6em}
figure{margin:0 0 1em}
figcaption{font-weight:600}
svg.chart{display:block;width:100%;height:auto;margin:.6em 0}
svg.wide{max-width:840px}
svg.narrow{max-width:480px;display:none}
details{border:1px solid #d9d9d9;border-radius:6px;margin:.5em 0;padding:0 12px}
summary{cursor:pointer;padding:.5em 0;overflow-wrap:anywhere}
details details{margin-bottom:.8em}
.scroll,pre{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.85rem;margin:.4em 0}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{padding:.25em .7em;border-bottom:1px solid #d9d9d9;text-align:right;white-space:nowrap}
th:first-child{text-align:left}
th[scope=row]{font-weight:400}
thead th{white-space:normal;vertical-align:bottom}
#environment td{text-align:left}
pre{background:#f4f4f4;padding:10px;border-radius:6px;font-size:.85rem}
li{overflow-wrap:anywhere;margin:.15em 0}
.is-fails{color:#b00020}.is-doubtful{color:#8a5a00}.is-holds{color:#00704f}
a{color:#005b94}
:focus-visible{outline:2px solid #0072b2;outline-offset:2px}
@media (max-width:719px){svg.narrow{display:block}svg.wide{display:none}}
@media screen and (prefers-color-scheme:dark){
body{background:#16181d;color:#ececec}
.kind,.soft,.place,.tiles dt{color:#b8b8b8}
.tiles div,details{border-color:#4a4d55}
th,td{border-color:#3a3d45}
pre{background:#22252c}
a{color:#7cc4f0}
.is-fails{color:#ff8a8a}.is-doubtful{color:#f0b84a}.is-holds{color:#4fd0a4}
}
@media print{
body{font-size:11pt}
main{max-width:none;padding:0}
svg.wide{display:block}svg.narrow{display:none}
details::details-content{content-visibility:visible;block-size:auto}
details{border:0;padding:0}
figure details{display:none}
figure,.tiles,tr{break-inside:avoid}
h2,summary,figcaption{break-after:avoid}
.scroll,pre{overflow:visible}
table{font-size:7.5pt}
th,td{white-space:normal;padding:.2em .4em}
pre{white-space:pre-wrap}
}
";

/// The rules of the page and of its pictures.
pub(super) fn rules() -> String {
    format!("{PAGE}{}", style::rules())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_need_no_escaping_and_nothing_from_elsewhere() {
        let rules = rules();
        assert!(!rules.contains(['<', '>', '&']) && !rules.contains("url(") && !rules.contains("@import"));
        assert_eq!(rules.matches('{').count(), rules.matches('}').count());
    }
}

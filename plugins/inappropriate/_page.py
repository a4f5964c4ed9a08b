"""The page of a dataset report, for jinja2 with autoescape."""

from __future__ import annotations

__all__ = ["PAGE"]

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="{{ mark }}">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>Inappropriate content: dataset report</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.note { border-left: 4px solid #b45309; background: #fff7ed; padding: .5rem 1rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.bar { background: #64748b; height: .8rem; min-width: 1px; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; width: 160px; } figcaption { font-size: .75rem; overflow-wrap: anywhere; }
.none { width: 160px; height: 120px; background: #e5e7eb; display: grid; place-items: center;
  font-size: .75rem; text-align: center; }
</style>
</head>
<body>
<h1>Does the dataset contain data that, if viewed directly, might be offensive, insulting,
threatening, or might otherwise cause anxiety?</h1>
<p>Question 16 of the datasheet for datasets, answered with the help of a classifier of image
embeddings. Made {{ made }} from a run over
{% for folder in folders_of_run %}
<code>{{ folder }}</code>{{ "," if not loop.last else "." }}
{% endfor %}
{% if status != "finished" %}<strong>The run is {{ status }}: this covers what it had
judged.</strong>{% endif %}</p>

<div class="note"><p>This is not a nudity, legality or child-safety filter, and an image that is not
flagged is not thereby approved. The classifier follows the moral ratings or examples that it was
tuned on, which differ between people and cultures, and it misses whole kinds of harmful images.
Look at the images, and use tools made for the question at hand.</p></div>

<h2>Flagged share</h2>
<p><strong>{{ summary.outcomes["flagged"] }} of {{ summary.judged }} judged images
({{ "%.2f"|format(100 * summary.share) }} %) are flagged.</strong>
Flagged means {{ criterion.words }}. It is a share of flags, not an estimate of how many images are
inappropriate: flags are sometimes wrong, and so is their absence.</p>
<table>
<tr><td>not judged, because the model does not know such images</td>
<td class="n">{{ summary.outcomes["abstained"] }}</td></tr>
<tr><td>not scored (unreadable, or an error)</td>
<td class="n">{{ summary.outcomes["not scored"] }}</td></tr>
{% for method, count in summary.methods.most_common() %}
<tr><td>scored by: {{ method }}</td><td class="n">{{ count }}</td></tr>
{% endfor %}
</table>

<h2>Scores</h2>
<table>
<tr><th>score</th><th class="n">images</th><th></th></tr>
{% for count in summary.histogram %}
<tr><td>{{ "%.1f"|format(loop.index0 / 10) }} to {{ "%.1f"|format(loop.index / 10) }}</td>
<td class="n">{{ count }}</td>
<td style="width: 20rem">
<div class="bar" style="width: {{ (100 * count / most)|round(1) }}%"></div></td></tr>
{% endfor %}
</table>

<h2>Flagged images by concept</h2>
<p>The concept is the nearest one of a fixed list of words: a help for sorting, not a finding.
{% if clear %}Pictures are shown as they are. {% else %}Pictures are blurred. {% endif %}
Within a concept, those with the highest scores come first.</p>
{% for concept in concepts %}
<h3>{{ concept.group.name }}: {{ concept.group.flagged }} flagged</h3>
<div class="pictures">
{% for picture in concept.pictures %}
<figure>
{% if picture.thumbnail.data %}
<img src="{{ picture.thumbnail.data }}" alt="">
{% else %}
<div class="none">{{ picture.thumbnail.reason }}</div>
{% endif %}
<figcaption>{{ "%.3f"|format(picture.score) }} {{ picture.id }}</figcaption>
</figure>
{% endfor %}
</div>
{% else %}
<p>No image is flagged.</p>
{% endfor %}

{% if folders %}
<h2>Flagged images by folder</h2>
<table>
<tr><th>folder</th><th class="n">flagged</th><th class="n">of</th><th class="n">share</th></tr>
{% for group in folders %}
<tr><td>{{ group.name }}</td><td class="n">{{ group.flagged }}</td>
<td class="n">{{ group.judged }}</td>
<td class="n">{{ "%.1f"|format(100 * group.share) }} %</td></tr>
{% endfor %}
</table>
{% if more_folders %}<p>and {{ more_folders }} more folders with flagged images.</p>{% endif %}
{% endif %}
</body>
</html>
"""

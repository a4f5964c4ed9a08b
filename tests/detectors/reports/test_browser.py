"""The report in a real browser: clicked, typed into, and looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from clipvet.detectors import Heatmap, ThresholdFacts, write_records, write_report
from tests.report_runs import HandMade, recipe_of_two

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

HOSTILE = '"><img src=x onerror="window.hacked=1"><script>alert(1)</script>'
GOOD = 70


class Page:
    """What a person does with a report."""

    def __init__(self, chrome: Chrome, path: Path) -> None:
        self.chrome = chrome
        chrome.get(path.as_uri())
        assert self.js("return document.documentElement.dataset.ready") == "true"

    def js(self, code: str, *arguments: Any) -> Any:
        return self.chrome.execute_script(code, *arguments)

    def find(self, selector: str) -> WebElement:
        return self.chrome.find_element("css selector", selector)

    def click(self, selector: str) -> None:
        self.find(selector).click()

    def press(self, *keys: str) -> None:
        """Keys go to whatever has the focus."""
        for key in keys:
            self.chrome.switch_to.active_element.send_keys(key)

    def texts(self, selector: str) -> list[str]:
        return [item.text for item in self.chrome.find_elements("css selector", selector)]

    def choose(self, selector: str, text: str) -> None:
        from selenium.webdriver.support.select import Select

        Select(self.find(selector)).select_by_visible_text(text)

    def names(self) -> list[str]:
        return [str(name) for name in self.js(NAMES)]

    def style(self, selector: str, name: str) -> str:
        return str(self.js(STYLE, selector, name))

    @property
    def shown(self) -> str:
        return self.find("#shown").text


NAMES = "return [...document.querySelectorAll('#cards .name')].map((name) => name.title)"
STYLE = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
ALPHA = """
const canvas = document.querySelector(arguments[0]);
const { width, height } = canvas;
const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
return arguments[1].map(([x, y]) =>
  data[4 * (Math.floor(y * height) * width + Math.floor(x * width)) + 3]);
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flagged, sensitive, gone, hostile and unreadable images, and enough for two pages."""
    made = HandMade(tmp_path_factory.mktemp("browser"))
    made.add("worst.png", 0.95, verdict="flag", hot=(0, 3))
    made.add("gone.png", 0.9, verdict="flag", overlay=True)
    made.add(f"{HOSTILE.replace('/', '%')}.png", 0.8, verdict="flag", error=HOSTILE)
    made.add("rude.png", 0.7, verdict="flag")
    made.also(detector="inappropriate", task="safety", score=0.99, verdict="flag")
    for number in range(GOOD):
        made.add(f"good/{number:03d}.png", 0.001 * number)
    made.also(detector=HOSTILE, status="error", error=f"{HOSTILE} gave no score")
    made.add_unreadable("broken.png")
    (made.images / "gone.png").unlink()
    return write_report(made.write(warnings=[HOSTILE])).page


@pytest.fixture
def page(chrome: Chrome, path: Path) -> Iterator[Page]:
    chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    opened = Page(chrome, path)
    opened.js("localStorage.clear()")
    opened = Page(chrome, path)
    yield opened
    assert complaints(chrome) == []


def test_the_worst_images_come_first(page: Page) -> None:
    assert page.names()[:2] == ["images/worst.png", "images/gone.png"]
    assert page.shown == "1 to 60 of 75 images"
    assert page.texts(".tile b") == ["75", "4", "1", "70"]
    assert page.find(".card .score").text == "winclip 0.95"


def test_verdicts_filter(page: Page) -> None:
    page.click(".tile[data-verdict=flag]")
    assert page.shown == "4 images"
    assert set(page.texts("#cards .verdict")) == {"flagged"}
    page.click(".tile[data-verdict=error]")
    assert page.names() == ["images/broken.png"]
    page.click(".tile[data-verdict=error]")
    assert page.shown == "1 to 60 of 75 images"


def test_text_filters_ids_reasons_and_errors(page: Page) -> None:
    search = page.find("#search")
    search.send_keys("GOOD/06")
    assert page.shown == "10 images"
    search.clear()
    search.send_keys("not a picture")
    assert page.names() == ["images/broken.png"]
    search.clear()
    search.send_keys("gave no score")
    assert page.names() == [f"images/good/{GOOD - 1:03d}.png"]
    search.send_keys(" at all")
    assert page.find("#nothing").is_displayed()
    page.click("#reset")
    assert page.shown == "1 to 60 of 75 images"


def test_detectors_filter_and_order(page: Page) -> None:
    page.choose("#detector", "inappropriate")
    assert page.names() == ["images/rude.png"]
    assert page.texts(".tile b") == ["1", "1"]
    assert page.find(".card .score").text == "0.99"
    page.choose("#detector", "all")
    page.choose("#order", "name")
    assert page.names()[0] == "images/broken.png" or page.names()[0].startswith('images/"')
    assert page.names() == sorted(page.names())
    page.choose("#order", "highest winclip")
    assert page.names()[:2] == ["images/worst.png", "images/gone.png"]


def test_the_slider_fades_the_heatmap(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    assert page.style(".stage canvas", "opacity") == "0.7"
    page.find("#opacity").send_keys(Keys.HOME)
    assert page.style(".stage canvas", "opacity") == "0"
    assert page.find("#opacity-shown").text == "0 %"
    page.find("#opacity").send_keys(Keys.END)
    assert page.style(".stage canvas", "opacity") == "1"
    page.press(Keys.ESCAPE, "h")
    assert page.style(".stage canvas", "opacity") == "0"
    page.press("h")
    assert page.style(".stage canvas", "opacity") == "1"


def test_heat_lies_where_the_map_is_hot(page: Page) -> None:
    corners = [[0.98, 0.05], [0.05, 0.05], [0.05, 0.95], [0.98, 0.95]]
    hot, *cold = page.js(ALPHA, "#cards .card:first-child canvas", corners)
    assert hot == round(255 * 0.85)
    assert cold == [0, 0, 0]
    page.click("#cards .card:first-child .open")
    hot, *cold = page.js(ALPHA, "#detail-stage canvas", corners)
    assert (hot, cold) == (round(255 * 0.85), [0, 0, 0])


def test_pictures_and_maps_have_the_same_shape(page: Page) -> None:
    page.js("document.querySelector('#cards img').scrollIntoView()")
    sizes = page.js(
        "const [i, c] = ['img', 'canvas'].map((n) => document.querySelector(`#cards ${n}`));"
        "return [i.naturalWidth / i.naturalHeight, c.width / c.height]"
    )
    assert sizes[0] == pytest.approx(sizes[1], abs=0.02)


def test_keys_move_open_and_close(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    at = "return document.querySelector('.card.at').dataset.place"
    page.press("j", "j", "k")
    assert page.js(at) == "1"
    page.press(Keys.ARROW_DOWN)
    columns = int(page.js(at)) - 1
    assert columns > 1
    page.press(Keys.ARROW_UP, Keys.ARROW_LEFT)
    assert page.js(at) == "0"
    page.press(Keys.ENTER)
    assert page.find("#detail").is_displayed()
    assert page.find("#detail-id").text == "images/worst.png"
    page.press("j")
    assert page.find("#detail-id").text == "images/gone.png"
    page.press(Keys.ESCAPE)
    assert not page.find("#detail").is_displayed()
    # A closed dialog says so a moment later.
    focused = "return document.activeElement.closest('.card').dataset.place"
    wait(lambda: page.js(focused) == "1")
    page.press("n")
    assert page.shown == "61 to 75 of 75 images"
    page.press("k")
    assert page.shown == "1 to 60 of 75 images"
    page.press("?")
    assert page.find("#help").is_displayed()
    page.press(Keys.ESCAPE, "/", "worst")
    assert page.names() == ["images/worst.png"]


def test_pages_turn(page: Page) -> None:
    page.click("#next-page")
    assert page.shown == "61 to 75 of 75 images"
    page.choose("#page", "1 of 2")
    assert page.shown == "1 to 60 of 75 images"
    page.click("#next-page")
    page.click("#cards .card:last-child .open")
    assert page.find("#detail-place").text == "75 of 75 images"
    assert not page.find("#detail-next").is_enabled()


def test_marked_ids_are_downloaded_one_a_line(page: Page, downloads: Path) -> None:
    page.press("j", "m")
    page.click("#cards .card:first-child .mark")
    page.click("#cards .card:nth-child(4) .open")
    page.click("#detail-mark")
    page.click("#detail-close")
    page.press("m", "m")
    assert page.find("#only-marked").text == "Marked: 3"
    page.click("#only-marked")
    assert page.names() == ["images/worst.png", "images/gone.png", "images/rude.png"]
    page.click("#download")
    file = downloads / "false-alarms.txt"
    wait(file.exists)
    assert file.read_text() == "images/worst.png\nimages/gone.png\nimages/rude.png\n"
    page.chrome.refresh()
    assert page.find("#marked-count").text == "3"
    page.click("#clear-marks")
    assert page.find("#marked-count").text == "0"
    assert not page.find("#download").is_enabled()


def test_dark_and_light(page: Page) -> None:
    def brightness() -> int:
        return sum(int(n) for n in page.style("body", "backgroundColor")[4:-1].split(","))

    before = brightness()
    page.click("#theme")
    after = brightness()
    assert abs(before - after) > 400
    page.press("t")
    assert brightness() == before
    page.js("delete document.documentElement.dataset.theme")
    for scheme, low, high in (("dark", 0, 150), ("light", 600, 766)):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        assert low <= brightness() <= high
    page.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_hostile_names_are_nothing_but_text(page: Page) -> None:
    from selenium.common.exceptions import NoAlertPresentException

    place = next(i for i, name in enumerate(page.names()) if "onerror" in name)
    page.click(f"#cards .card:nth-child({place + 1}) .open")
    assert HOSTILE in page.find("#detail-facts").text
    page.click("#detail-close")
    assert HOSTILE in page.find("#failure-rows").text
    assert HOSTILE in page.find("#summary").text
    assert HOSTILE in page.texts("#detector option")
    assert page.js("return window.hacked") is None
    assert page.js("return document.querySelectorAll('img[src=x]').length") == 0
    assert page.js("return document.querySelectorAll('script:not([type])').length") == 1
    with pytest.raises(NoAlertPresentException):
        _ = page.chrome.switch_to.alert.text


def test_a_script_that_got_in_would_not_run(page: Page) -> None:
    page.js("document.body.append(document.createElement('script'))")
    page.js("document.body.lastChild.textContent = 'window.hacked = 1'")
    assert page.js("return window.hacked") is None
    (refusal,) = complaints(page.chrome)
    assert "Content Security Policy" in refusal


def test_sensitive_pictures_are_blurred_until_asked_for(page: Page) -> None:
    rude = ".card:has([title='images/rude.png']) img"
    worst = ".card:has([title='images/worst.png']) img"
    assert page.style(rude, "filter") == "blur(18px)"
    assert page.style(worst, "filter") == "none"
    page.click("#reveal")
    assert page.style(rude, "filter") == "none"
    page.click("#reveal")
    assert page.style(rude, "filter") == "blur(18px)"


def test_an_original_that_is_gone(page: Page) -> None:
    assert "The originals of 1 image are gone" in page.find("#missing-notice").text
    assert page.texts(".card:has([title='images/gone.png']) .tag") == ["original gone: overlay"]
    page.click(".card:has([title='images/gone.png']) .open")
    expected = "The original is no longer there; this is the overlay that the run drew."
    assert page.find("#detail-missing").text == expected


def test_one_image_in_full(page: Page) -> None:
    page.click("#cards .card:first-child .open")
    facts = page.find("#detail-facts").text
    for words in (
        "winclip: 0.95 is above 0.5", "p = 0.01", "Threshold 0.5: split-conformal on 99 images.",
        "Promised rate 5 %, n = 99.", "by hand", "20, 20 to 40, 40", "the 74 scores of this run",
        "Heatmap from 0 to 1, the same for every image.",
    ):  # fmt: skip
        assert words in facts
    here, threshold = page.js(
        "return [...document.querySelectorAll('.finding line')].map((l) => l.x1.baseVal.value)"
    )
    assert here > threshold
    assert page.find("#detail-stage svg.regions rect").get_attribute("width") == "20"
    page.click("#detail-regions")
    assert not page.find("#detail-stage svg.regions rect").is_displayed()


def test_detectors_together_and_no_promise(chrome: Chrome, tmp_path: Path) -> None:
    made = HandMade(tmp_path / "x")
    threshold = ThresholdFacts(
        value=1.5, origin="largest F1: no false-alarm promise", rate=None, n=20
    )
    for name, part, verdict in (("a.png", 0.4, "pass"), ("b.png", 1.5, "flag")):
        made.add(name, 0.5, verdict=None, threshold=None)
        made.records[-1] = made.records[-1].model_copy(update={"verdict": verdict})
        made.also(detector="vim", score=0.4, p_value=0.2)
        made.also(detector="fooling", score=0.3)
        made.together(
            0.5 + part / 2,
            threshold,
            combination="weighted",
            terms={"winclip": 1.0, "vim": part},
        )
    page = Page(chrome, write_report(made.write()).page)
    assert page.texts(".chart-head h3") == ["Together", "winclip", "vim", "fooling"]
    assert page.texts(".chart-head .quiet")[0] == "winclip, vim: weighted p-values"
    (key, *_) = page.texts(".chart-card figcaption")
    assert key == "passed 1\nflagged 1\nthreshold 1.5"
    assert page.names() == ["images/b.png", "images/a.png"]
    assert page.find(".card .score").text == "vim 0.4"
    page.click("#cards .card:first-child .open")
    together = page.find("[aria-label='Detectors together']").text
    for words in (
        "Together weighted p-values", "1.25", "p = 0.05",
        "Threshold 1.5: largest F1: no false-alarm promise.", "winclip 1", "vim 1.5",
    ):  # fmt: skip
        assert words in together
    assert "Promised rate" not in page.find("#detail-facts").text
    ours = "No threshold of its own: the verdict is by the weighted p-values."
    assert ours in page.find("[aria-label=vim]").text
    assert page.texts("[aria-label=vim] .verdict") == []
    assert page.texts("[aria-label=fooling] .verdict") == ["not judged"]
    assert "by the weighted" not in page.find("[aria-label=fooling]").text
    assert "No threshold of its own." in page.find("[aria-label=fooling]").text
    page.click("#detail-next")
    assert "0.7" in page.find("[aria-label='Detectors together'] .big").text
    page.click("#detail-close")
    page.choose("#order", "highest winclip")
    assert complaints(chrome) == []


def test_what_is_given_together_beside_its_calibration(chrome: Chrome, tmp_path: Path) -> None:
    recipe = recipe_of_two(tmp_path / "line3", "any")
    made = HandMade(tmp_path / "x")
    threshold = ThresholdFacts(value=2.5, origin="30 good images", rate=0.1, n=30)
    for name, value, verdict in (("a.png", 1.0, "pass"), ("b.png", 6.0, "flag")):
        made.add(name, 0.5, verdict=verdict)
        made.also(detector="vim", score=0.4)
        terms = {"winclip": value, "vim": 0.1}
        made.together(value, threshold, combination="any", terms=terms)
    folder = made.write(configuration={"recipe": recipe.sha256})
    page = Page(chrome, write_report(folder, recipe=tmp_path / "line3").page)
    card = page.find(".chart-card:first-child")
    assert card.text.startswith("Together\nwinclip, vim: any of them is enough")
    assert "shape of 30 good images" in card.text
    drawn = "return document.querySelector('.chart-card path.good').getBBox().width"
    assert page.js(drawn) == 480
    page.click("#cards .card:first-child .open")
    chart = page.find("[aria-label='Detectors together'] svg")
    assert chart.get_attribute("aria-label") == (
        "Statistic 6 of all together beside 30 held-out good images"
    )
    here, limit = page.js(
        "return [...document.querySelectorAll('.combined line')].map((l) => l.x1.baseVal.value)"
    )
    assert here > limit
    assert complaints(chrome) == []


def test_failures_lead_to_their_image(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.find("#search").send_keys("worst", Keys.ESCAPE)
    rows = page.texts("#failure-rows tr")
    assert len(rows) == 2
    row = next(i for i, text in enumerate(rows) if "broken" in text)
    reason = "images/broken.png: it holds text and not a picture"
    assert rows[row] == f"images/broken.png unreadable {reason}"
    page.js("document.querySelectorAll('#failure-rows button')[arguments[0]].click()", row)
    assert page.find("#detail-id").text == "images/broken.png"
    assert "it holds text" in page.find("#detail-facts").text


UNNAMED = """
const named = (item) => item.getAttribute("aria-label") || item.textContent.trim()
  || (item.labels && item.labels.length);
return [...document.querySelectorAll("button, input, select, canvas, svg, dialog")]
  .filter((item) => !named(item)).map((item) => item.outerHTML)
  .concat([...document.querySelectorAll("img:not([alt])")].map((item) => item.outerHTML));
"""


def test_everything_has_a_name_and_focus_shows(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.click("#cards .card:first-child .open")
    assert page.js(UNNAMED) == []
    page.press(Keys.ESCAPE, Keys.TAB)
    assert page.js("return document.activeElement.className") == "mark"
    assert page.js("return getComputedStyle(document.activeElement).outlineStyle") == "solid"


WIDER = """
return [...document.querySelectorAll("#detail *")]
  .filter((item) => item.getBoundingClientRect().right > innerWidth).length;
"""


@pytest.mark.parametrize("width", [360, 760, 1000])
def test_nothing_is_wider_than_the_window(page: Page, width: int) -> None:
    size = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 700}
    page.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert page.js("return document.documentElement.scrollWidth") <= width
    page.click("#cards .card:nth-child(3) .open")  # the one with the long name
    assert page.js(WIDER) == 0
    page.click("#detail-close")


def test_a_folder_shows_its_pictures(chrome: Chrome, tmp_path: Path) -> None:
    made = HandMade(tmp_path / "x")
    made.add("a.png")
    page = Page(chrome, write_report(made.write(), folder=True).page)
    wait(lambda: page.js("return document.querySelector('#cards img').naturalWidth") == 80)
    assert complaints(chrome) == []


def test_the_range_is_that_of_the_run_and_not_of_the_image(chrome: Chrome, tmp_path: Path) -> None:
    made = HandMade(tmp_path / "x")
    made.add("a.png")
    grid = np.full((3, 4), 0.4, np.float32)
    heatmap = Heatmap(grid=grid, box=(0, 0, 80, 60), image_size=(80, 60))
    heatmap.save_npz(made.folder / "heatmaps/0000.npz")
    page = Page(chrome, write_report(made.write()).page)
    (alpha,) = page.js(ALPHA, "#cards canvas", [[0.5, 0.5]])
    assert alpha == round(0.4 * 255 * 0.85)


def test_ten_thousand_images_stay_usable(chrome: Chrome, tmp_path: Path) -> None:
    made = HandMade(tmp_path / "x")
    first = made.add("a.png", heatmap=None)
    folder = made.write()
    (made.images / "a.png").unlink()
    write_records(
        folder / "records.jsonl",
        (
            first.model_copy(
                update={"image": first.image.model_copy(update={"id": f"images/{n:05d}.png"})}
            )
            for n in range(10_000)
        ),
    )
    page = Page(chrome, write_report(folder).page)
    assert page.shown == "1 to 60 of 10,000 images"
    assert page.js("return document.querySelectorAll('.card').length") == 60
    typed = """
    const [text, done] = arguments;
    const start = performance.now();
    const search = document.getElementById("search");
    search.value = text;
    search.dispatchEvent(new Event("input"));
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
    """
    for text, left in (("0777", "11 images"), ("", "1 to 60 of 10,000 images")):
        spent = chrome.execute_async_script(typed, text)
        assert page.shown == left
        assert spent < 2000  # some 200 ms on a machine that does nothing else
    page.press("n", "n")
    assert page.shown == "121 to 180 of 10,000 images"


def complaints(chrome: Chrome) -> list[str]:
    """Errors, breaches of the policy, refused requests; no advice on speed."""
    log = chrome.get_log("browser")  # type: ignore[no-untyped-call]
    return [str(line["message"]) for line in log if line["source"] != "rendering"]


def wait(until: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)

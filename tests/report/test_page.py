"""The report's page in a browser: sorting, opened cells, themes, narrow screens, hostile names; Snakemake's report."""

import shutil
import zipfile
from html.parser import HTMLParser

import pytest
import yaml

from tests.workflow.test_dag import copy_tree, snakemake

HOSTILE = "\"><img src=x onerror='document.title=1'><script>document.title=1</script>"
OWN = {"mine": {"like": "vae-4-point", "note": HOSTILE, "deviations": [HOSTILE]}}
ONLY = ("mine", "avb-table-1", "avb-beats-vae-4-point", "unifying-figure-4", "avb-figure-6")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A small profile, run with a user's run whose words are hostile."""
    folder = copy_tree(tmp_path_factory.mktemp("page"))
    (folder / "mine.yml").write_text(yaml.safe_dump(OWN))
    done = snakemake(folder, "--config", "profile=smoke", "runs=mine.yml", f"only={','.join(ONLY)}")
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def reports(tree):
    """The folder of the selection's page."""
    return tree / "reports" / "smoke" / "only" / "+".join(sorted(ONLY))


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium; nothing of the page may need a network."""
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture
def page(tree, browser):
    """The page, freshly opened at 1280 pixels in the light."""
    show(browser, tree, 1280, "light")
    return browser


def show(browser, tree, width, scheme):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.get((reports(tree) / "index.html").as_uri())


class Outline(HTMLParser):
    """Headings, ids, links and pictures of a page."""

    def __init__(self):
        super().__init__()
        self.levels, self.ids, self.links, self.unnamed = [], [], [], []

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        if tag in ("h1", "h2", "h3"):
            self.levels.append(int(tag[1]))
        if "id" in named:
            self.ids.append(named["id"])
        if tag == "a":
            self.links.append(named["href"])
        if tag == "img" and not named.get("alt"):
            self.unnamed.append(named)


def test_headings_ids_links_and_names_are_in_order(tree):
    folder = reports(tree)
    outline = Outline()
    outline.feed((folder / "index.html").read_text())
    assert outline.levels[0] == 1
    assert outline.levels.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(outline.levels, outline.levels[1:], strict=False))
    assert len(outline.ids) == len(set(outline.ids))
    for link in set(outline.links):
        assert link[1:] in outline.ids if link.startswith("#") else (folder / link).exists(), link
    assert not outline.unnamed


def test_hostile_words_stay_words(tree, page):
    text = (reports(tree) / "index.html").read_text()
    assert "onerror" in text
    assert "<img src=x" not in text
    assert text.count("<script>") == 1
    assert page.title == "vgbench: smoke"
    assert page.get_log("browser") == []  # no error, and nothing asked of a network


def test_columns_sort_by_mouse_and_keyboard(page):
    from selenium.webdriver.common.keys import Keys

    button = page.find_element("css selector", "table.cost thead th:nth-child(7) button")
    read = "return [...document.querySelectorAll('table.cost tbody tr')].map(r => Number(r.cells[6].dataset.sort))"
    page.execute_script("arguments[0].click()", button)
    assert page.execute_script(read) == sorted(page.execute_script(read))
    button.send_keys(Keys.ENTER)
    assert page.execute_script(read) == sorted(page.execute_script(read), reverse=True)
    head = page.find_element("css selector", "table.cost thead th:nth-child(7)")
    assert head.get_attribute("aria-sort") == "descending"


def test_a_verdict_opens_its_cell_by_keyboard_and_closes(page):
    from selenium.webdriver.common.keys import Keys

    summary = page.find_element("css selector", "#avb-table-1 ~ .scroll details.cell > summary")
    summary.send_keys(Keys.ENTER)
    dialog = page.find_element("css selector", "dialog[open]")
    for word in ("seeds", "protocol", "known bias", "python -m benchmarks train vae-4-point --seed 0 --profile smoke"):
        assert word in dialog.text
    assert page.execute_script("return document.activeElement.textContent") == "Close"
    assert dialog.find_elements("css selector", "img[alt^='Loss of']")
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not page.find_elements("css selector", "dialog[open]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_and_have_contrast(tree, browser, width, scheme):
    show(browser, tree, width, scheme)
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    ink, paper = (
        browser.execute_script(f"return getComputedStyle(document.body).{name}")
        for name in ("color", "backgroundColor")
    )
    light, dark = sorted((luminance(paper), luminance(ink)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) > 7
    assert (luminance(paper) < 0.1) == (scheme == "dark")


def style(browser, name):
    return browser.execute_script(f"return getComputedStyle(document.body).{name}")


def luminance(colour):
    """Relative luminance (WCAG 2.2) of `rgb(r, g, b)`."""
    parts = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_theme_can_be_turned(page):
    before = style(page, "backgroundColor")
    page.find_element("css selector", ".theme").click()
    assert style(page, "backgroundColor") != before
    page.execute_script("localStorage.clear()")


def test_snakemake_s_report_has_the_same_pictures_with_captions(tree):
    arguments = ("--report", "report.zip", "--config", "profile=smoke", "runs=mine.yml")
    only = "only=mine,avb-table-1,avb-beats-vae-4-point,unifying-figure-4,avb-figure-6"
    done = snakemake(tree, *arguments, only)
    assert done.returncode == 0, done.stderr[-2000:]
    with zipfile.ZipFile(tree / "report.zip") as report:
        names = {name.rpartition("/")[2] for name in report.namelist()}
        text = "".join(report.read(name).decode() for name in report.namelist() if name.endswith("report.html"))
    assert {"avb-table-1.html", "unifying-figure-4.png"} <= names
    assert "Ours beside the paper" in text

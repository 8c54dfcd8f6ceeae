"""The page of `reviewrate serve` in a real browser: Debian's chromium."""

import csv
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from conftest import TINY, Run, records
from odd_files import FILES
from server import PATIENCE, Server, serving

REVIEW = "A lovely film, and I would see it again."
HOSTILE = '</textarea><img src="http://example.invalid/x" onerror="alert(1)"><script>alert(2)</script>'


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--log", "none") as running:
        yield running


def browser(downloads: Path, *, javascript: bool = True, dark: bool = False, width: int = 1000) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--window-size={width},900"):
        options.add_argument(argument)
    preferences: dict[str, Any] = {"download.default_directory": str(downloads)}
    if not javascript:
        preferences["profile.managed_default_content_settings.javascript"] = 2
    options.add_experimental_option("prefs", preferences)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path="/usr/bin/chromedriver")
    driver = webdriver.Chrome(options=options, service=service)
    emulation = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", emulation)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    return driver


@pytest.fixture
def page(server: Server, tmp_path: Path) -> Iterator[webdriver.Chrome]:
    driver = browser(tmp_path)
    driver.get(server.address)
    yield driver
    check_requests(driver, server)
    driver.quit()


def check_requests(driver: webdriver.Chrome, server: Server) -> None:
    """The page has asked nobody but its own server, and nothing was wrong with it."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert urls
    assert [url for url in urls if not url.startswith((server.address, "blob:" + server.address, "data:"))] == []
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []


def result_of(driver: webdriver.Chrome) -> str:
    """What a screen reader finds in the result, once it is there: its texts in the accessibility tree."""
    WebDriverWait(driver, PATIENCE).until(lambda d: d.find_elements(By.CSS_SELECTOR, "#result > *"))
    object_id = driver.execute_cdp_cmd("Runtime.evaluate", {"expression": "document.getElementById('result')"})
    tree = driver.execute_cdp_cmd("Accessibility.queryAXTree", {"objectId": object_id["result"]["objectId"]})
    return " ".join(node["name"]["value"] for node in tree["nodes"] if node["role"]["value"] == "StaticText")


def picture(driver: webdriver.Chrome, name: str) -> None:
    """For people to look at, where REVIEWRATE_SCREENSHOTS names a folder."""
    if folder := os.environ.get("REVIEWRATE_SCREENSHOTS"):
        Path(folder).mkdir(exist_ok=True)
        driver.save_screenshot(f"{folder}/{name}.png")


def words_of(record: dict[str, Any]) -> str:
    return f"Rating: {record['rating']} of 10, "


@pytest.mark.parametrize("way", ["click", "key"])
def test_one_review(page: webdriver.Chrome, run: Run, way: str) -> None:
    expected = records(run("-t", REVIEW))[0]
    box = page.switch_to.active_element  # one can type at once
    assert box.get_attribute("id") == "text"
    box.send_keys(REVIEW)
    if way == "click":
        page.find_element(By.ID, "rate").click()
    else:
        box.send_keys(Keys.CONTROL, Keys.ENTER)
    text = result_of(page)
    assert expected["label"] in text and words_of(expected) in text
    assert f"Probability: {100 * expected['score']:.1f} %." in text
    assert "★" not in text  # said in words
    picture(page, f"one-{way}")


def test_a_review_that_is_html_is_shown_as_text(page: webdriver.Chrome) -> None:
    page.find_element(By.ID, "text").send_keys(HOSTILE)
    page.find_element(By.ID, "rate").click()
    result_of(page)
    assert page.find_elements(By.CSS_SELECTOR, "img, #result script") == []
    assert page.find_element(By.ID, "text").get_property("value") == HOSTILE


def test_why(page: webdriver.Chrome, run: Run) -> None:
    review = f"The plot is dull. But the actors are wonderful! {HOSTILE} I would see it again."
    record = records(run("-t", review, "--explain", "words"))[0]
    box = page.switch_to.active_element
    box.send_keys(review, Keys.TAB, Keys.TAB, Keys.SPACE)  # the box behind the button, by keyboard alone
    assert page.switch_to.active_element.get_attribute("id") == "why"
    page.find_element(By.ID, "text").send_keys(Keys.CONTROL, Keys.ENTER)
    WebDriverWait(page, PATIENCE).until(lambda d: d.find_elements(By.CSS_SELECTOR, "#result .parts"))
    numbers = [b.text for b in page.find_elements(By.CSS_SELECTOR, ".parts b")]
    parts = record["explanation"]["parts"]
    assert numbers == [f"{p['contribution']:+.2f}".replace("-", "−").replace("+0.00", "0.00") for p in parts]
    text = result_of(page)
    assert record["label"] in text and all(part["text"].split()[0] in text for part in parts)
    assert page.find_elements(By.CSS_SELECTOR, "img, #result script") == []
    colors = {
        name: page.execute_script(
            "return getComputedStyle(document.querySelector(arguments[0])).borderLeftColor", f".parts li.{name} > span"
        )
        for name in ("for", "against")
    }
    assert colors["for"] != colors["against"]
    assert page.find_element(By.ID, "why").is_selected()
    picture(page, "why")
    page.find_element(By.ID, "why").click()
    page.find_element(By.ID, "rate").click()
    WebDriverWait(page, PATIENCE).until(lambda d: not d.find_elements(By.CSS_SELECTOR, "#result .parts"))


def test_names_and_roles(page: webdriver.Chrome) -> None:
    tree = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    found = {(n["role"]["value"], n["name"]["value"]) for n in tree if not n["ignored"] and "name" in n}
    for wanted in [
        ("heading", "Rate a review"),
        ("textbox", "Review"),
        ("button", "Rate it"),
        ("checkbox", "Say why"),
        ("heading", "Many reviews"),
    ]:
        assert wanted in found


def test_many_reviews_of_a_file(page: webdriver.Chrome, run: Run, tmp_path: Path) -> None:
    texts = [f'film {i}, "quoted"\nand more, {"good " * (i % 9)}' for i in range(200)]
    file = tmp_path / "reviews.csv"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([["id", "review"], *([f"r{i}", text] for i, text in enumerate(texts))])
    expected = records(run(file, "--text-field", "review"))
    page.find_element(By.ID, "file").send_keys(str(file))
    WebDriverWait(page, PATIENCE).until(lambda d: "200 reviews rated" in d.find_element(By.ID, "progress").text)
    rows = page.find_elements(By.CSS_SELECTOR, "tbody tr")
    assert len(rows) == 200
    assert [cell.text for cell in rows[3].find_elements(By.TAG_NAME, "td")][:4] == [
        "r3",
        expected[3]["label"],
        str(expected[3]["rating"]),
        f"{100 * expected[3]['score']:.1f} %",
    ]
    picture(page, "many")
    page.find_element(By.XPATH, "//th/button[text()='Probability']").click()
    shown = [c.text for c in page.find_elements(By.CSS_SELECTOR, "tbody tr td:nth-child(4)")]
    assert shown == [f"{100 * score:.1f} %" for score in sorted(record["score"] for record in expected)]
    table = {row["id"]: row for row in download(page, tmp_path)}
    assert [table[record["id"]]["text"] for record in expected] == texts
    assert [float(table[record["id"]]["p_positive"]) for record in expected] == [r["p_positive"] for r in expected]


def cells(driver: webdriver.Chrome) -> list[list[str]]:
    """The table, as it is in the page; what is seen of it has other blanks."""
    script = "return [...document.querySelectorAll('tbody tr')].map(r => [...r.cells].map(c => c.textContent))"
    return list(driver.execute_script(script))


def names_file(name: str) -> Callable[[webdriver.Chrome], bool]:
    """Whether what the page tells is of this file."""
    return lambda driver: f"{name}: " in driver.find_element(By.ID, "progress").text


def told(driver: webdriver.Chrome) -> str:
    """What stands below the file once it is read."""
    WebDriverWait(driver, PATIENCE).until(lambda d: not d.find_element(By.ID, "progress").text.endswith("…"))
    return driver.find_element(By.ID, "progress").text


def download(driver: webdriver.Chrome, folder: Path) -> list[dict[str, str]]:
    file = folder / "ratings.csv"
    file.unlink(missing_ok=True)
    driver.find_element(By.ID, "download").click()
    end = time.monotonic() + PATIENCE
    while not file.exists():
        assert time.monotonic() < end
        time.sleep(0.1)
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_file_is_read_as_the_command_line_reads_it(page: webdriver.Chrome, run: Run, tmp_path: Path) -> None:
    names = [name for name in FILES if "/" not in name]
    for name in names:
        path = tmp_path / name
        path.write_bytes(FILES[name])
        result = run("--", name, cwd=tmp_path)
        expected = [json.loads(line) for line in result.stdout.splitlines()]
        for record, line in zip(expected, result.stdout.splitlines(), strict=True):
            record["id"] = str(json.loads(line, parse_float=str)["id"])  # with its digits
        page.find_element(By.ID, "file").send_keys(str(path))
        WebDriverWait(page, PATIENCE).until(names_file(name))
        words = told(page)
        if not expected:
            assert words == f"{name}: there is no review in it"
            continue
        failed = sum("error" in record for record in expected)
        assert f"{len(expected)} review{'s' * (len(expected) != 1)} rated" in words, (name, words)
        assert (f"{failed} could not be" in words) == (failed > 0)
        shown = cells(page)
        assert len(shown) == len(expected)
        for row, record in zip(shown, expected, strict=True):
            if "error" in record:
                assert row[:4] == [record["id"], "error", "", ""] and row[4] == record["error"]["message"]
            else:
                percent = f"{100 * record['score']:.1f} %"
                assert row[:4] == [record["id"], record["label"], str(record["rating"]), percent]
        downloaded = download(page, tmp_path)
        # The same cells as in the command line's csv, and two columns more.
        table = list(csv.DictReader(run("-f", "csv", "--", name, cwd=tmp_path).stdout.decode().splitlines(True)))
        for got, wanted in zip(downloaded, table, strict=True):
            numbers = ("score", "p_positive")
            assert {k: got[k] for k in wanted if k not in numbers} == {k: wanted[k] for k in wanted if k not in numbers}
            assert [got[k] and float(got[k]) for k in numbers] == [wanted[k] and float(wanted[k]) for k in numbers]
            assert got["empty"] == ("true" if not got["error_kind"] and not got["text"].strip() else "false")
    assert page.find_element(By.ID, "notices").text == ""  # of the last one


def test_what_the_command_line_says_of_a_file_stands_below_it(page: webdriver.Chrome, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(FILES["semicolon.csv"])
    page.find_element(By.ID, "file").send_keys(str(tmp_path / "a.csv"))
    assert told(page) == "a.csv: 1 review rated."
    assert 'the text is taken from "review"' in page.find_element(By.ID, "notices").text


def test_the_field_of_the_text_can_be_named(page: webdriver.Chrome, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(FILES["no text.csv"])
    page.find_element(By.ID, "file").send_keys(str(tmp_path / "a.csv"))
    assert told(page) == 'a.csv: 0 of 1 review rated, 1 could not be (label "error").'
    assert '"x", "y" (--text-field names one)' in cells(page)[0][4]
    page.find_element(By.ID, "field").send_keys("y", Keys.TAB)  # the file is read again
    WebDriverWait(page, PATIENCE).until(lambda _: [row[4] for row in cells(page)] == ["2", "4"])
    assert told(page) == "a.csv: 2 reviews rated."


def test_a_file_that_is_too_large(page: webdriver.Chrome, tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate((64 << 20) + 1)
    page.find_element(By.ID, "file").send_keys(str(tmp_path / "a.txt"))
    WebDriverWait(page, PATIENCE).until(lambda d: "is larger than 64 MiB" in d.find_element(By.ID, "progress").text)


def test_another_file_takes_the_place_of_one_that_is_read(page: webdriver.Chrome, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a good film\n" * 100_000)
    (tmp_path / "b.txt").write_text("a bad film\n")
    page.find_element(By.ID, "file").send_keys(str(tmp_path / "a.txt"))
    WebDriverWait(page, PATIENCE).until(lambda d: "% …" in d.find_element(By.ID, "progress").text)
    page.find_element(By.ID, "file").send_keys(str(tmp_path / "b.txt"))
    WebDriverWait(page, PATIENCE).until(lambda d: "b.txt: 1 review rated." in d.find_element(By.ID, "progress").text)
    time.sleep(0.5)
    assert told(page) == "b.txt: 1 review rated." and len(cells(page)) == 1


def test_the_download_tells_the_effort(tmp_path: Path) -> None:
    package = Path(shutil.copytree(TINY, tmp_path / "package"))
    manifest = json.loads((package / "manifest.json").read_text())
    (package / "manifest.json").write_text(json.dumps(manifest | {"schedules": {"fast": {"keep": [0.5]}}}))
    with serving("--log", "none", "--effort", "fast", model=package) as server:
        driver = browser(tmp_path)
        driver.get(server.address)
        (tmp_path / "a.txt").write_text("a good film\n")
        driver.find_element(By.ID, "file").send_keys(str(tmp_path / "a.txt"))
        WebDriverWait(driver, PATIENCE).until(lambda d: "1 review rated." in d.find_element(By.ID, "progress").text)
        assert [row["effort"] for row in download(driver, tmp_path)] == ["fast"]
        driver.quit()


def test_a_result_is_never_that_of_another_text(page: webdriver.Chrome) -> None:
    box, stale = page.find_element(By.ID, "text"), page.find_element(By.ID, "stale")
    box.send_keys(REVIEW)
    page.find_element(By.ID, "rate").click()
    result_of(page)
    assert not stale.is_displayed()
    box.send_keys(" No.")
    assert stale.is_displayed() and page.find_elements(By.CSS_SELECTOR, "#result.stale .verdict")
    picture(page, "stale")
    box.send_keys(Keys.BACKSPACE * 4)
    assert not stale.is_displayed() and not page.find_elements(By.CSS_SELECTOR, "#result.stale")
    box.send_keys(" No.", Keys.CONTROL, Keys.ENTER)
    WebDriverWait(page, PATIENCE).until(lambda _: not stale.is_displayed())
    box.send_keys(Keys.CONTROL, "a")
    box.send_keys(Keys.DELETE)
    assert not stale.is_displayed() and not page.find_elements(By.CSS_SELECTOR, "#result > *")


def test_why_is_said_as_soon_as_it_is_asked(page: webdriver.Chrome) -> None:
    page.find_element(By.ID, "why").click()  # of nothing there is nothing to say
    assert not page.find_elements(By.CSS_SELECTOR, "#result > *")
    page.find_element(By.ID, "why").click()
    page.find_element(By.ID, "text").send_keys(REVIEW)
    page.find_element(By.ID, "rate").click()
    result_of(page)
    page.find_element(By.ID, "why").click()
    WebDriverWait(page, PATIENCE).until(lambda d: d.find_elements(By.CSS_SELECTOR, "#result .parts"))
    page.find_element(By.ID, "why").click()
    WebDriverWait(page, PATIENCE).until(lambda d: not d.find_elements(By.CSS_SELECTOR, "#result .parts"))
    assert page.find_elements(By.CSS_SELECTOR, "#result .verdict")


def test_without_javascript(server: Server, run: Run, tmp_path: Path) -> None:
    expected = records(run("-t", REVIEW))[0]
    driver = browser(tmp_path, javascript=False)
    driver.get(server.address)
    assert not driver.find_element(By.ID, "file").is_displayed()
    driver.find_element(By.ID, "text").send_keys(REVIEW)
    driver.find_element(By.ID, "why").click()
    driver.find_element(By.ID, "rate").click()
    text = result_of(driver)
    assert expected["label"] in text and words_of(expected) in text
    assert len(driver.find_elements(By.CSS_SELECTOR, "#result .parts li")) == 1
    assert driver.find_element(By.ID, "text").get_property("value") == REVIEW
    assert driver.find_element(By.ID, "why").is_selected()
    picture(driver, "without-javascript")
    driver.quit()


@pytest.mark.parametrize("dark", [False, True])
def test_a_narrow_window(server: Server, tmp_path: Path, dark: bool) -> None:
    driver = browser(tmp_path, dark=dark, width=320)
    driver.get(server.address)
    (tmp_path / "a.txt").write_text("\n".join(["A lovely film", "w" * 300]))
    driver.find_element(By.ID, "file").send_keys(str(tmp_path / "a.txt"))
    driver.find_element(By.ID, "text").send_keys("word " * 600 + f"A lovely film. {'w' * 300}. It is bad.")
    driver.find_element(By.ID, "why").click()
    driver.find_element(By.ID, "rate").click()
    WebDriverWait(driver, PATIENCE).until(lambda d: d.find_elements(By.CSS_SELECTOR, "#result .parts"))
    assert "The review is long" in result_of(driver)
    WebDriverWait(driver, PATIENCE).until(lambda d: d.find_element(By.ID, "table").is_displayed())
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 320
    background = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    light = sum(int(part) for part in background[4:-1].split(",")) > 3 * 128
    assert light != dark
    picture(driver, f"narrow-{'dark' if dark else 'light'}")
    driver.quit()


def test_a_server_that_is_away(tmp_path: Path) -> None:
    with serving("--log", "none") as server:
        driver = browser(tmp_path)
        driver.get(server.address)
    driver.find_element(By.ID, "text").send_keys(REVIEW)
    driver.find_element(By.ID, "rate").click()
    assert "The server cannot be reached." in result_of(driver)
    assert driver.find_element(By.CSS_SELECTOR, "#result [role=alert]").is_displayed()
    driver.quit()

"""The page of `reviewrate serve` in a real browser: Debian's chromium."""

import csv
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from conftest import Run, records
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
    page.find_element(By.ID, "download").click()
    downloaded = tmp_path / "ratings.csv"
    end = time.monotonic() + PATIENCE
    while not downloaded.exists():
        assert time.monotonic() < end
        time.sleep(0.1)
    with downloaded.open(newline="") as stream:
        table = {row["id"]: row for row in csv.DictReader(stream)}
    assert [table[record["id"]]["text"] for record in expected] == texts
    assert [float(table[record["id"]]["p_positive"]) for record in expected] == [r["p_positive"] for r in expected]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", '{"id": 1, "text": "a"}\n{"text": "b"}\n', "2 reviews rated."),
        ("a.json", '[{"comment": "a"}, {"comment": "b"}]', "2 reviews rated (column comment)."),
        ("a.txt", "one\n\ntwo\r\nthree", "3 reviews rated."),
        ("a.csv", "x;review\n1;a\n", "1 review rated (column review)."),
        ("a.json", '[{"text": "a"}, {"text"', "it is not valid JSON"),
        ("a.json", '{"text":\n "a"}', "1 review rated."),
        ("a.csv", '"text\na\n', "in its first line its quote never closes"),
        ("a.txt", "", "there is no review in it"),
    ],
)
def test_files(page: webdriver.Chrome, tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    page.find_element(By.ID, "file").send_keys(str(tmp_path / name))
    WebDriverWait(page, PATIENCE).until(lambda d: words in d.find_element(By.ID, "progress").text)


def test_ids_keep_their_digits(page: webdriver.Chrome, tmp_path: Path) -> None:
    """JavaScript's numbers have 53 bits and one spelling each."""
    ids = ["1234567890123456789", "2.50", "7", '"a 1"']
    (tmp_path / "a.jsonl").write_text("".join(f'{{"id": {each}, "text": "a"}}\n' for each in ids))
    page.find_element(By.ID, "file").send_keys(str(tmp_path / "a.jsonl"))
    WebDriverWait(page, PATIENCE).until(lambda d: "4 reviews rated." in d.find_element(By.ID, "progress").text)
    cells = page.find_elements(By.CSS_SELECTOR, "tbody tr td:first-child")
    assert [cell.text for cell in cells] == ["1234567890123456789", "2.50", "7", "a 1"]


BAD_LINES = {
    "a.jsonl": (
        'oops\n{"text": "a good film"}\n\n{"text"\n{"text": 5}\nnull\n{"text": "a bad film"}\n',
        ["line 1 is not JSON", "", "line 4 is not JSON", "line 5 has no text in text", "line 6 is neither", ""],
    ),
    "a.json": ('[{"text": "a good film"}, 7, "so"]', ["", "record 2 is neither a text nor an object", ""]),
    "a.csv": (
        'id,text\n1,"a good\nfilm"\n2,"stray" quote\n3,a,b\n4,"so ""it"" is"\n5,"never closes\n6,last\n',
        [
            "",
            "line 4 cannot be read: text follows",
            "line 5 has 3 cells, and the first line 2",
            "",
            "line 7 cannot",
            "",
        ],
    ),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_bad_lines_are_errors_at_their_place(page: webdriver.Chrome, tmp_path: Path, name: str) -> None:
    content, errors = BAD_LINES[name]
    (tmp_path / name).write_text(content)
    page.find_element(By.ID, "file").send_keys(str(tmp_path / name))
    bad = sum(map(bool, errors))
    words = f"{len(errors) - bad} of {len(errors)} reviews rated, {bad} could not be"
    WebDriverWait(page, PATIENCE).until(lambda d: words in d.find_element(By.ID, "progress").text)
    rows = [
        [c.text for c in row.find_elements(By.TAG_NAME, "td")]
        for row in page.find_elements(By.CSS_SELECTOR, "tbody tr")
    ]
    assert len(rows) == len(errors)
    for row, error in zip(rows, errors, strict=True):
        assert (row[1] == "error", row[3] == "") == (bool(error), bool(error))
        assert row[4].startswith(error)
    picture(page, f"bad-{name}")


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

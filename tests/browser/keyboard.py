"""Keys of keyboards that are not here, as a browser tells them to a page."""

from __future__ import annotations

from selenium import webdriver


def press(driver: webdriver.Chrome, key: str, code: str, held: str = "") -> None:
    """What types `key` where `code` is on an American keyboard; ``shiftKey`` or ``modifierAltGraph`` may be held."""
    driver.execute_script(
        "const [key, code, held] = arguments;"
        "const event = new KeyboardEvent('keydown', {key, code, [held]: true, bubbles: true, cancelable: true});"
        "document.activeElement.dispatchEvent(event);", key, code, held,
    )  # fmt: skip

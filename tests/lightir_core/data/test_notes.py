from lightir_core.data.images import MOST_ALIKE, shorten


def test_few_notes_stay_as_they_are():
    notes = ("recognised rainy and clean: 8 pairs", "a.png: alpha dropped", "something")
    assert shorten(notes) == notes


def test_many_alike_are_counted_and_skipped_images_always_named():
    gray = [f"{number}.png: grey repeated in three channels" for number in range(40)]
    skipped = [f"{number}.png: skipped, the image is damaged: why" for number in range(40, 60)]
    short = shorten([*gray, *skipped])
    assert short[:MOST_ALIKE] == tuple(gray[:MOST_ALIKE])
    assert short[MOST_ALIKE:-1] == tuple(skipped)
    assert short[-1] == f"and {40 - MOST_ALIKE} more images: grey repeated in three channels"

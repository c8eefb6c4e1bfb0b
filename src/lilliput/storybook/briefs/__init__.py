"""The plots in short, by the names of their plots. A plot without a brief has no short stories."""

from lilliput.storybook.briefs.alone import ALONE
from lilliput.storybook.briefs.brief import Brief
from lilliput.storybook.briefs.together import TOGETHER

__all__ = ["BRIEFS", "Brief"]

BRIEFS: dict[str, Brief] = {**ALONE, **TOGETHER}

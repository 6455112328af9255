"""The client and the source for asyncio. They have the same names, options and errors as those for threads.

from ipseity import aio

async with aio.Source(["id1.example", "id2.example"]) as source:
    print(await source.next())
"""

from .client import Client
from .source import Source

__all__ = ["Client", "Source"]

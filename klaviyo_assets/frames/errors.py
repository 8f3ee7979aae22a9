"""What the errors of a file system mean: would a rerun help, and if not, what would?

What belongs here: errors of the local disk and of Arrow's S3, as errors of this package. What does not: the content
that is written (`store.py`).
"""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from klaviyo_assets.errors import PermanentError, TransientError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST}
# Arrow raises an OSError without errno for S3's codes; only its text has them.
_S3_REFUSALS = ("ACCESS_DENIED", "NO_SUCH_BUCKET")


@contextmanager
def explained(action: str, place: str) -> Iterator[None]:
    """Raise the file system's errors as errors of this package.

    Args:
        action: What was done, such as "writing the frame ...": the message begins with it.
        place: The folder, or bucket and prefix, of the frames.

    Raises:
        TransientError: a rerun may help: a full disk can have room later.
        PermanentError: the folder refuses this user.
    """
    try:
        yield
    except OSError as error:
        what = f"{action}: {error.strerror or str(error).splitlines()[0]}"
        folders = f"{place} (KLAVIYO_FRAMES_URL) and {tempfile.gettempdir()} (TMPDIR)"
        if error.errno in _FULL:
            raise TransientError(what, f"Make room in {folders}, then run this again.") from error
        if error.errno in _REFUSED or any(code in str(error) for code in _S3_REFUSALS):
            raise PermanentError(what, f"This user needs write access to {folders}.") from error
        raise TransientError(what, f"Frames are kept in {folders}.") from error

"""The model host: serves a deployed model for real, in an environment with the pinned framework of its AWS image.

Real: the person's code, the archive that was deployed, the framework at the image's version, HTTP. Emulated: the image's serving
stack (nginx, gunicorn, Flask), whose contract `container/` follows.
"""

from infra.rehearsal.cloud.model_host.archive import BadArchive, unpack_model_archive

__all__ = ["BadArchive", "unpack_model_archive"]

# The command `recolor` in a container:
#   docker build -t recolor .
#   docker run --rm -v "$PWD:/images" --user "$(id -u):$(id -g)" recolor photo.jpg
# Builds of PyTorch without CUDA are much smaller: pass the address of their index (see README.md)
# with `--build-arg PIP_EXTRA_INDEX_URL=...`.
FROM python:3.11-slim AS build
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL} PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml constraints.txt hatch_build.py napari.yaml README.md LICENSE ./
COPY recolor_core recolor_core
COPY napari_recolor napari_recolor
RUN python -m venv /opt/recolor && /opt/recolor/bin/pip install -c constraints.txt ".[film]"

FROM python:3.11-slim
COPY --from=build /opt/recolor /opt/recolor
# Nothing is downloaded at run time, and no home folder is needed.
ENV PATH=/opt/recolor/bin:$PATH HOME=/tmp
WORKDIR /images
ENTRYPOINT ["recolor"]
CMD ["--help"]

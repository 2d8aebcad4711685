# Two images: `docker build .` is the service, `docker build --target train .` trains models. Both run as a user
# without rights, whose only folder is /srv/recommender.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS wheel
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY recommender recommender
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim AS serve-packages
COPY constraints.txt /
COPY --from=wheel /wheels /wheels
RUN python -m venv /opt/recommender \
  && /opt/recommender/bin/pip install --no-cache-dir --constraint /constraints.txt "$(echo /wheels/*.whl)[postgresql]"

FROM serve-packages AS train-packages
RUN /opt/recommender/bin/pip install --no-cache-dir --constraint /constraints.txt "$(echo /wheels/*.whl)[train]"

FROM python:${PYTHON}-slim AS user
RUN useradd --uid 10001 --home-dir /srv/recommender recommender \
  && install --directory --owner recommender /srv/recommender /srv/recommender/models /srv/recommender/state
ENV PATH=/opt/recommender/bin:$PATH \
  PYTHONUNBUFFERED=1 \
  RECOMMENDER_MODELS_DIR=/srv/recommender/models \
  RECOMMENDER_DATABASE_URL=sqlite:////srv/recommender/state/recommender.db \
  RECOMMENDER_STATE_FILE=/srv/recommender/state/recommender-state.json
WORKDIR /srv/recommender
USER 10001
ENTRYPOINT ["recommender"]

FROM user AS train
COPY --from=train-packages /opt/recommender /opt/recommender
CMD ["train", "--help"]

FROM user AS serve
COPY --from=serve-packages /opt/recommender /opt/recommender
EXPOSE 8000
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]

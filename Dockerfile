# One image: docker-compose.yml names the command of the scheduler, the workers and Flower.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    TF_CPP_MIN_LOG_LEVEL=2 \
    HOME=/tmp \
    STATE_DIR=/var/lib/recsweep

# A fresh named volume takes over the owner of the folder it is mounted on.
RUN groupadd --gid 10001 recsweep \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin recsweep \
    && install -d -o 10001 -g 10001 -m 0750 \
        /var/lib/recsweep /var/lib/recsweep/artifacts /var/lib/recsweep/cache /var/lib/recsweep/flower

WORKDIR /app

# The libraries change seldom: a change of the code alone makes only the small layers below anew.
COPY requirements.lock ./
RUN pip install --require-hashes --requirement requirements.lock

COPY pyproject.toml ./
COPY sql ./sql
COPY shared ./shared
COPY scheduler ./scheduler
COPY worker ./worker

# By number, so that Kubernetes can see that it is not root.
USER 10001:10001

CMD ["python", "-m", "scheduler", "--help"]

# What operators type. Each of these is one command; --help of the scripts says more.

NAMESPACE ?= default
RELEASE ?= order-food
# Name of the kind cluster.
CLUSTER ?= order-food
# How long test-load takes.
LOAD_SECONDS ?= 10

kubectl := kubectl --namespace $(NAMESPACE)
release := app.kubernetes.io/instance=$(RELEASE)
api := --selector $(release),app.kubernetes.io/component=api
postgresql := --selector $(release),app.kubernetes.io/component=postgresql
# $(call needs,KIND,SELECTOR,WHAT): says what is missing, where kubectl would say something about its own arguments.
needs = @found=$$($(kubectl) get $(1) $(2) --output name) || exit 1; \
	[ -n "$$found" ] || { echo 'make: namespace $(NAMESPACE) has no $(3)' >&2; exit 1; }
needs_api = $(call needs,deployment,$(api),release $(RELEASE): try "make deploy-all")
needs_postgresql = $(call needs,statefulset,$(postgresql),PostgreSQL of the release $(RELEASE))
where := --namespace $(NAMESPACE) --release $(RELEASE)

.DEFAULT_GOAL := help
.PHONY: help cluster-create build-image deploy-all status logs-order-food logs-database-migration logs-database-load \
	logs-postgresql port-forward restart-order-food restart-postgresql wait-pods test-api test-integration test-load \
	delete-all

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "%-24s%s\n", $$1, $$2 }'
	@echo 'Variables: NAMESPACE=$(NAMESPACE) RELEASE=$(RELEASE) CLUSTER=$(CLUSTER) LOAD_SECONDS=$(LOAD_SECONDS)'

cluster-create: ## make a kind cluster, unless it is there, and point kubectl to it
	@command -v kind >/dev/null || { echo 'make: kind is missing: see https://kind.sigs.k8s.io' >&2; exit 1; }
	kind get clusters | grep -qx $(CLUSTER) || kind create cluster --name $(CLUSTER) --wait 3m
	kubectl config use-context kind-$(CLUSTER)

build-image: ## build the images and load them into the cluster
	scripts/deploy.sh $(where) --images-only

deploy-all: ## build, load, install or upgrade, wait, and place an order
	scripts/deploy.sh $(where)

status: ## what runs, and what ran
	$(kubectl) get deployments,statefulsets,pods,services,cronjobs,jobs,horizontalpodautoscalers --selector $(release)

logs-order-food: ## logs of the API
	$(needs_api)
	$(kubectl) logs $(api) --container order-food --tail 100 --prefix

logs-database-migration: ## logs of the migrations before the API's start
	$(needs_api)
	$(kubectl) logs $(api) --container database-migration --tail 100 --prefix

logs-database-load: ## logs of the loads: before the API's start, and of the CronJob
	$(needs_api)
	$(kubectl) logs $(api) --container database-load --tail 100 --prefix
	$(kubectl) logs --selector $(release),app.kubernetes.io/name=database-load --tail 100 --prefix

logs-postgresql: ## logs of the chart's own PostgreSQL
	$(needs_postgresql)
	$(kubectl) logs $(postgresql) --tail 100 --prefix

port-forward: ## serve the API on http://localhost:8080
	$(needs_api)
	$(kubectl) port-forward $$($(kubectl) get service $(api) --output name) 8080:http

restart-order-food: ## replace the pods of the API, one by one
	$(needs_api)
	$(kubectl) rollout restart deployment $(api)

restart-postgresql: ## restart the chart's own PostgreSQL; orders fail until it is back
	$(needs_postgresql)
	$(kubectl) rollout restart statefulset $(postgresql)

wait-pods: ## wait until the pods of the API are ready
	$(needs_api)
	$(kubectl) rollout status $$($(kubectl) get deployment $(api) --output name) --timeout 15m

test-api: ## place an order with the API in the cluster
	scripts/test-api.sh $(where)

test-load: ## the same, and then LOAD_SECONDS of load
	scripts/test-api.sh $(where) --load $(LOAD_SECONDS)

test-integration: ## all tests, on this machine, without a cluster
	scripts/test.sh

delete-all: ## remove the release and its data; the cluster stays
	scripts/cleanup.sh $(where) --data

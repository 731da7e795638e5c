# Two commands are all a newcomer needs: `make demo` and `make test`.

BIN := bin/tandem
GO_SOURCES := $(shell find . -name '*.go' -o -name '*.s' -o -name '*.sql' -o -name '*.html' -o -name '*.css' -o -name '*.js' -o -name '*.yaml' | grep -v '^./tools/')
TOOL := go tool -modfile=tools/go.mod
export CGO_ENABLED := 0

.PHONY: demo test test-race lint acceptance build setup setup-test clean

demo: setup build ## the whole loop on the practice world; ends by naming its report
	$(BIN) demo

build: $(BIN)

$(BIN): $(GO_SOURCES) go.mod go.sum
	go build -trimpath -o $@ ./cmd/tandem

setup:
	@scripts/setup run

setup-test:
	@scripts/setup test

test: setup-test ## every test, and once more under the race detector on small shapes
	go test -timeout 20m ./...
	$(MAKE) test-race

test-race: setup-test
	CGO_ENABLED=1 go test -race -short -timeout 20m ./...

lint:
	@unformatted=$$(git ls-files '*.go' | xargs gofmt -l); [ -z "$$unformatted" ] || { echo "gofmt would change: $$unformatted"; exit 1; }
	go vet ./...
	$(TOOL) staticcheck ./...
	@scripts/vulncheck

acceptance: setup build ## what takes hours; writes docs/acceptance.md and docs/acceptance-site.md
	mkdir -p docs && go run ./scripts/acceptance

clean:
	rm -rf bin

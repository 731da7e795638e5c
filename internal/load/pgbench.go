package load

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// TPCB is what pgbench measured on the same server: its TPC-B-like transaction, five statements and a commit each.
type TPCB struct {
	TransactionsPerSecond float64 `json:"transactions_per_second,omitempty"`
	LatencyMS             float64 `json:"latency_ms,omitempty"`
	Clients               int     `json:"clients,omitempty"`
	Scale                 int     `json:"scale,omitempty"`
	Skipped               string  `json:"skipped,omitempty"` // why it was not measured
}

const pgbenchDatabase = "tandem_pgbench"

// PGBench runs the program on a database of its own, which it drops again. The URL is a superuser's.
func PGBench(ctx context.Context, program, adminURL string, clients int, duration time.Duration) (_ TPCB, err error) {
	const op = "load.PGBench"
	if _, err := os.Stat(program); err != nil {
		return TPCB{Skipped: fmt.Sprintf("pgbench is not installed: %v", err)}, nil
	}
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return TPCB{}, tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, `CREATE DATABASE `+pgbenchDatabase); err != nil {
		return TPCB{}, tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	defer func() {
		if _, dropErr := conn.Exec(context.WithoutCancel(ctx), `DROP DATABASE `+pgbenchDatabase+` WITH (FORCE)`); err == nil && dropErr != nil {
			err = tandem.Errorf(tandem.Unavailable, op, "%w", dropErr)
		}
	}()
	u, err := url.Parse(adminURL)
	if err != nil {
		return TPCB{}, tandem.Errorf(tandem.Invalid, op, "%w", err)
	}
	password, _ := u.User.Password()
	u.User, u.Path = url.User(u.User.Username()), "/"+pgbenchDatabase // the password goes by the environment, where nobody sees it
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, program, append(args, u.String())...)
		cmd.Env = append(os.Environ(), "PGPASSWORD="+password, "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return "", tandem.Errorf(tandem.Unavailable, op, "pgbench %s: %w\n%s", strings.Join(args, " "), err, out)
		}
		return string(out), nil
	}
	result := TPCB{Clients: clients, Scale: clients} // with a smaller scale clients wait for each other's rows
	if _, err := run("-i", "-q", "-s", strconv.Itoa(result.Scale)); err != nil {
		return TPCB{}, err
	}
	out, err := run("-c", strconv.Itoa(clients), "-j", "2", "-T", strconv.Itoa(max(int(duration.Seconds()), 1)), "-M", "prepared")
	if err != nil {
		return TPCB{}, err
	}
	result.TransactionsPerSecond = number(out, `tps = ([0-9.]+)`)
	result.LatencyMS = number(out, `latency average = ([0-9.]+) ms`)
	return result, nil
}

func number(text, pattern string) float64 {
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	n, _ := strconv.ParseFloat(found[1], 64) // digits and a point
	return n
}

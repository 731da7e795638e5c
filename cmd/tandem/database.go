package main

import (
	"context"
	"errors"
	"net/url"
	"os"

	"tandem/store"
	"tandem/store/local"
)

// databaseFlags say where the loop's state is kept; every command that reads or writes it has them.
type databaseFlags struct {
	DatabaseURL string `name:"database-url" env:"DATABASE_URL,TANDEM_DATABASE_URL" help:"Postgres to keep everything in, as postgres://… (default: a private server in the home folder)." placeholder:"URL" group:"storage"`
	Home        string `help:"Folder for everything that tandem keeps on this machine (default: /var/lib/tandem for root, else $$XDG_DATA_HOME/tandem)." placeholder:"DIR" group:"storage"`
}

// home is the folder for everything that tandem keeps on this machine.
func (f databaseFlags) home() (string, error) {
	if f.Home != "" {
		return f.Home, nil
	}
	return local.Home(os.Geteuid(), os.Getenv)
}

// database is the store, and the private server behind it where no other was named.
type database struct {
	*store.Store
	url    string // with its password: never to be shown
	server *local.Server
}

// open connects to the database. Without DATABASE_URL it starts the private server, says so, and migrates
// it, since nobody else would. Whoever opens a database closes it.
func (f databaseFlags) open(ctx context.Context, w *world) (_ *database, err error) {
	d := &database{url: f.DatabaseURL}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.url == "" {
		if d.server, err = f.start(ctx, w); err != nil {
			return nil, err
		}
		if err = store.Migrate(ctx, d.server.OwnerURL()); err != nil {
			return nil, err
		}
		d.url = d.server.URL()
	}
	d.Store, err = store.Open(ctx, d.url)
	return d, err
}

// start starts the private server, or joins the one that runs.
func (f databaseFlags) start(ctx context.Context, w *world) (*local.Server, error) {
	home, err := f.home()
	if err != nil {
		return nil, err
	}
	server, err := local.Start(ctx, local.Config{Home: home})
	if err == nil {
		w.log.Info("DATABASE_URL is not set: using tandem's private Postgres", "server", server.String())
	}
	return server, err
}

// close ends every connection, and the private server where no other process uses it.
func (d *database) close() error {
	if d.Store != nil {
		d.Store.Close()
	}
	if d.server != nil {
		return d.server.Close()
	}
	return nil
}

// use runs do with the database and closes it.
func (f databaseFlags) use(ctx context.Context, w *world, do func(*store.Store) error) error {
	d, err := f.open(ctx, w)
	if err != nil {
		return err
	}
	return errors.Join(do(d.Store), d.close())
}

// migrateCommand brings the database to the newest schema.
type migrateCommand struct {
	databaseFlags
}

// migrateReport is migrate's JSON.
type migrateReport struct {
	Database string `json:"database"`
}

func (c *migrateCommand) Run(ctx context.Context, w *world) error {
	ownerURL, name := c.DatabaseURL, ""
	if ownerURL == "" {
		server, err := c.start(ctx, w)
		if err != nil {
			return err
		}
		ownerURL, name = server.OwnerURL(), server.String()
		defer func() { _ = server.Close() }() // the migration is committed
	} else if u, err := url.Parse(ownerURL); err == nil {
		name = u.Redacted()
	}
	if err := store.Migrate(ctx, ownerURL); err != nil {
		return err
	}
	return w.report(migrateReport{name}, "the schema is up to date: %s\n", name)
}

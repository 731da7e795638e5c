package load

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// requestTimeout is how long an annotator waits for an answer.
const requestTimeout = 60 * time.Second

// connection is one browser's connection to the site: kept alive, opened again where it was lost.
type connection struct {
	host   string // HOST:PORT
	cookie string // the value of the Cookie header
	conn   net.Conn
	reader *bufio.Reader
	out    bytes.Buffer
	in     bytes.Buffer
}

// reply is an answer. Body is good until the next request.
type reply struct {
	status   int
	location string
	body     []byte
}

// what a request is for, as the browser tells the site.
type purpose string

const (
	fetch    purpose = "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nAccept: application/json\r\n"
	navigate purpose = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html,application/xhtml+xml\r\n"
)

// do sends one request and reads its answer. Headers are whole lines.
func (c *connection) do(ctx context.Context, why purpose, method, path, headers, contentType string, body []byte) (reply, error) {
	if c.conn == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.host)
		if err != nil {
			return reply{}, err
		}
		c.conn, c.reader = conn, bufio.NewReaderSize(conn, 8<<10)
	}
	r, err := c.exchange(why, method, path, headers, contentType, body)
	if err != nil {
		c.close()
	}
	return r, err
}

func (c *connection) exchange(why purpose, method, path, headers, contentType string, body []byte) (reply, error) {
	c.out.Reset()
	fmt.Fprintf(&c.out, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: tandem-load\r\nCookie: %s\r\nSec-Fetch-Site: same-origin\r\n%s%s", method, path, c.host, c.cookie, why, headers)
	if method != http.MethodGet {
		c.out.WriteString("Origin: http://" + c.host + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n")
		if contentType != "" {
			c.out.WriteString("Content-Type: " + contentType + "\r\n")
		}
	}
	c.out.WriteString("\r\n")
	c.out.Write(body)
	if err := c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return reply{}, err
	}
	if _, err := c.conn.Write(c.out.Bytes()); err != nil {
		return reply{}, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	c.in.Reset()
	if _, err := io.Copy(&c.in, response.Body); err != nil {
		return reply{}, err
	}
	if response.Close {
		c.close()
	}
	return reply{response.StatusCode, response.Header.Get("Location"), c.in.Bytes()}, nil
}

func (c *connection) close() {
	if c.conn != nil {
		_ = c.conn.Close() // what it carried is lost or was read
		c.conn = nil
	}
}

// Package tfevents writes a run's figures as TensorBoard event files, which `tensorboard --logdir` shows: the TFRecord
// framing (https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details) around Event messages
// (https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto), as far as scalars need them.
package tfevents

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"tandem"
)

const op = "tfevents"

// Name is what an event file is called in a run's folder. TensorBoard finds files by the ".tfevents." in their names.
const Name = "events.out.tfevents.tandem"

// Field numbers of Event, Summary and Summary.Value.
const (
	eventWallTime    = 1
	eventStep        = 2
	eventFileVersion = 3
	eventSummary     = 5

	summaryValue = 1
	valueTag     = 1
	valueSimple  = 2
)

// version opens a file.
const version = "brain.Event:2"

// mostRecord bounds a record that is read, in bytes: a longer one is no scalars'.
const mostRecord = 64 << 20

// Writer appends to an event file.
type Writer struct{ file *os.File }

// Continue goes on in an empty file with the one at a path, after a step: what stands there up to it is copied. Later
// steps (of a run that is resumed from an earlier state) and half a record at the end are left out: TensorFlow's mark
// for a restart is not heeded by all readers. Step 0 begins anew.
func Continue(file *os.File, path string, after int64, now time.Time) (*Writer, error) {
	w := &Writer{file}
	whole, err := int64(0), error(nil)
	if after > 0 {
		if whole, err = survey(path, after); err != nil {
			return nil, err
		}
	}
	if whole == 0 {
		err = w.write(versionEvent(now))
	} else {
		err = w.copy(path, whole)
	}
	if err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, op, "%s: %w", path, err)
	}
	return w, nil
}

// copy appends so many bytes of a file.
func (w *Writer) copy(path string, bytes int64) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	_, err = io.CopyN(w.file, from, bytes)
	return err
}

// survey returns where the last whole record of a file ends that belongs to a step up to after; 0 for a file that is not
// there. Steps rise.
func survey(path string, after int64) (whole int64, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	defer file.Close()
	in := bufio.NewReader(file)
	for {
		record, err := readRecord(in)
		if err != nil { // the end, or what a killed process left of a record
			return whole, nil
		}
		if step, ok := stepOf(record); ok && step > after {
			return whole, nil
		}
		whole += int64(len(record)) + framing
	}
}

// Add appends a step's figures, by name.
func (w *Writer) Add(at time.Time, step int64, scalars map[string]float64) error {
	if err := w.write(scalarEvent(at, step, scalars)); err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "%s: %w", w.file.Name(), err)
	}
	return nil
}

// Close closes the file.
func (w *Writer) Close() error { return w.file.Close() }

func (w *Writer) write(event []byte) error {
	_, err := w.file.Write(frame(event))
	return err
}

func seconds(t time.Time) float64 { return float64(t.Unix()) + float64(t.Nanosecond())/1e9 }

func newEvent(at time.Time, step int64) []byte {
	b := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(seconds(at)))
	if step != 0 {
		b = protowire.AppendTag(b, eventStep, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(step))
	}
	return b
}

func versionEvent(at time.Time) []byte {
	b := protowire.AppendTag(newEvent(at, 0), eventFileVersion, protowire.BytesType)
	return protowire.AppendString(b, version)
}

func scalarEvent(at time.Time, step int64, scalars map[string]float64) []byte {
	var summary []byte
	for _, name := range slices.Sorted(maps.Keys(scalars)) {
		value := protowire.AppendTag(nil, valueTag, protowire.BytesType)
		value = protowire.AppendString(value, name)
		value = protowire.AppendTag(value, valueSimple, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(float32(scalars[name])))
		summary = protowire.AppendTag(summary, summaryValue, protowire.BytesType)
		summary = protowire.AppendBytes(summary, value)
	}
	b := protowire.AppendTag(newEvent(at, step), eventSummary, protowire.BytesType)
	return protowire.AppendBytes(b, summary)
}

// stepOf is the step of an event that holds figures.
func stepOf(event []byte) (step int64, scalars bool) {
	for len(event) > 0 {
		number, kind, n := protowire.ConsumeTag(event)
		if n < 0 {
			return 0, false
		}
		event = event[n:]
		if number == eventStep && kind == protowire.VarintType {
			v, n := protowire.ConsumeVarint(event)
			if n < 0 {
				return 0, false
			}
			step = int64(v)
		}
		scalars = scalars || number == eventSummary
		if n = protowire.ConsumeFieldValue(number, kind, event); n < 0 {
			return 0, false
		}
		event = event[n:]
	}
	return step, scalars
}

// framing is what a record takes beside its data: the length, the length's checksum, the data's checksum.
const framing = 8 + 4 + 4

func frame(data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, len(data)+framing), uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, masked(b))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, masked(data))
}

// readRecord reads one record. Errors: io.EOF at the end, others where what stands there is not a whole record.
func readRecord(r io.Reader) ([]byte, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint64(head[:])
	if binary.LittleEndian.Uint32(head[8:]) != masked(head[:8]) || length > mostRecord {
		return nil, fmt.Errorf("the length of a record is broken")
	}
	data := make([]byte, length+4)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("half a record: %w", err)
	}
	if binary.LittleEndian.Uint32(data[length:]) != masked(data[:length]) {
		return nil, fmt.Errorf("the data of a record is broken")
	}
	return data[:length], nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum of TFRecords: CRC-32C, rotated and shifted so that a checksum of checksums is a good one too.
func masked(data []byte) uint32 {
	crc := crc32.Checksum(data, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}

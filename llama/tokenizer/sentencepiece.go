package tokenizer

import (
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"tandem"
)

// spaceSymbol is how SentencePiece spells a space.
const spaceSymbol = "▁"

// Types of pieces and models, and field numbers, of
// https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto.
const (
	pieceNormal      = 1
	pieceUnknown     = 2
	pieceControl     = 3
	pieceUserDefined = 4
	pieceUnused      = 5
	pieceByte        = 6

	modelUnigram = 1
	modelBPE     = 2
)

// spModel is what this package obeys of a ModelProto.
type spModel struct {
	pieces     []spPiece
	modelType  uint64
	suffix     bool // treat_whitespace_as_suffix
	fallback   bool // byte_fallback
	bos, eos   int64
	pad        int64
	unkSurface string
	normalizer spNormalizer
}

type spPiece struct {
	content string
	score   float32
	kind    uint64
}

// parseSentencePiece reads a tokenizer.model.
func parseSentencePiece(data []byte, c config) (*Tokenizer, error) {
	p := spModel{
		modelType: modelUnigram, bos: 1, eos: 2, pad: -1, unkSurface: " \u2047 ",
		normalizer: spNormalizer{dummyPrefix: true, removeExtra: true, escape: true},
	}
	if err := p.unmarshal(data); err != nil {
		return nil, err
	}
	t := &Tokenizer{special: SpecialTokens{None, None, None, None}}
	var added []addedToken
	var userDefined []pattern
	scores := make([]float32, len(p.pieces))
	ids := make(map[string]int32, len(p.pieces))
	unused := make(map[int32]bool)
	var bytes [256]int32
	byteCount := 0
	for i, piece := range p.pieces {
		id := int32(i)
		scores[i] = piece.score
		control := piece.kind == pieceControl
		if err := t.define(id, token{content: piece.content, special: control, added: control}); err != nil {
			return nil, err
		}
		switch piece.kind {
		case pieceNormal:
			ids[piece.content] = id
		case pieceUnused:
			ids[piece.content] = id
			unused[id] = true
		case pieceUserDefined:
			ids[piece.content] = id
			if piece.content != "" {
				userDefined = append(userDefined, pattern{piece.content, addedToken{ID: id}})
			}
		case pieceUnknown:
			t.special.UNK = id
			added = append(added, addedToken{ID: id, Content: piece.content, Special: true})
		case pieceControl:
			added = append(added, addedToken{ID: id, Content: piece.content, Special: true})
		case pieceByte:
			b, ok := parseByteToken(piece.content)
			if !ok {
				return nil, tandem.Errorf(tandem.Invalid, op, "the byte piece %d is %q", i, piece.content)
			}
			bytes[b] = id
			byteCount++
		default:
			return nil, unsupported("piece type of", piece.content)
		}
	}
	if t.special.UNK == None {
		return nil, tandem.Errorf(tandem.Invalid, op, "the model has no unknown piece")
	}
	if p.fallback && byteCount != len(bytes) {
		return nil, tandem.Errorf(tandem.Invalid, op, "the model has byte_fallback and %d byte pieces, not 256", byteCount)
	}
	for _, r := range []struct {
		from int64
		to   *int32
	}{{p.bos, &t.special.BOS}, {p.eos, &t.special.EOS}, {p.pad, &t.special.PAD}} {
		if r.from >= 0 && r.from < int64(len(p.pieces)) && p.pieces[r.from].kind == pieceControl {
			*r.to = int32(r.from)
		}
	}
	symbols := newMatcher(userDefined)
	n := p.normalizer
	n.userDefined, n.suffix = &symbols, p.suffix
	t.normalizer = &n
	switch p.modelType {
	case modelBPE:
		m := &scoredBPE{ids: ids, userDefined: &symbols, unused: unused, unk: t.special.UNK, byteFallback: p.fallback, bytes: bytes}
		if err := m.order(scores); err != nil {
			return nil, err
		}
		t.model = m
	case modelUnigram:
		m := &unigram{ids: ids, scores: scores, unused: unused, userDefined: make(map[int32]bool), unk: t.special.UNK, byteFallback: p.fallback, bytes: bytes}
		for _, u := range userDefined {
			m.userDefined[u.token.ID] = true
		}
		if err := m.prepare(p.pieces); err != nil {
			return nil, err
		}
		t.model = m
	default:
		return nil, unsupported("SentencePiece model type", map[uint64]string{3: "word", 4: "char"}[p.modelType])
	}
	unkContent := t.tokens[t.special.UNK].content
	t.decoder = decoderFunc(func() decoding {
		return &pieces{
			space: spaceSymbol, dropFirst: n.dummyPrefix || n.removeExtra, dropAll: n.removeExtra,
			unk: unkContent, unkSurface: p.unkSurface,
		}
	})
	for _, a := range c.added {
		if !t.Has(a.ID) {
			if err := t.define(a.ID, token{content: a.Content, special: a.Special, added: true}); err != nil {
				return nil, err
			}
			a.Normalized = false
			added = append(added, a)
		}
	}
	// SentencePiece itself adds nothing; Llama's code adds BOS to every prompt, as do transformers.
	if t.special.BOS != None {
		t.before = []int32{t.special.BOS}
	}
	var err error
	t.added, err = newAddedVocabulary(added, nil)
	return t, err
}

// unmarshal reads a ModelProto. Fields that change no id (training options, self tests) are passed over.
func (p *spModel) unmarshal(data []byte) error {
	return fields("ModelProto", data, func(number protowire.Number, f field) error {
		switch number {
		case 1:
			piece := spPiece{kind: pieceNormal}
			p.pieces = append(p.pieces, piece)
			at := &p.pieces[len(p.pieces)-1]
			return fields("SentencePiece", f.bytes, func(number protowire.Number, f field) error {
				switch number {
				case 1:
					at.content = string(f.bytes)
				case 2:
					at.score = math.Float32frombits(uint32(f.number))
				case 3:
					at.kind = f.number
				}
				return nil
			})
		case 2:
			return fields("TrainerSpec", f.bytes, p.trainerField)
		case 3:
			return fields("NormalizerSpec", f.bytes, p.normalizer.field)
		case 5:
			if len(f.bytes) > 0 {
				var d spNormalizer
				if err := fields("DenormalizerSpec", f.bytes, d.field); err != nil {
					return err
				}
				if d.charsMap != nil {
					return unsupported("SentencePiece component", "denormalizer_spec")
				}
			}
		}
		return nil
	})
}

func (p *spModel) trainerField(number protowire.Number, f field) error {
	switch number {
	case 3:
		p.modelType = f.number
	case 24:
		p.suffix = f.number != 0
	case 35:
		p.fallback = f.number != 0
	case 41:
		p.bos = int64(int32(f.number))
	case 42:
		p.eos = int64(int32(f.number))
	case 43:
		p.pad = int64(int32(f.number))
	case 44:
		p.unkSurface = string(f.bytes)
	}
	return nil
}

// field is one protobuf field: a number, or bytes.
type field struct {
	number uint64
	bytes  []byte
}

// fields calls do for every field of a protobuf message.
func fields(message string, data []byte, do func(protowire.Number, field) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return tandem.Errorf(tandem.Invalid, op, "the %s of the SentencePiece model is malformed: %w", message, protowire.ParseError(n))
		}
		data = data[n:]
		var f field
		switch kind {
		case protowire.VarintType:
			f.number, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(data)
			f.number = uint64(v)
		case protowire.Fixed64Type:
			f.number, n = protowire.ConsumeFixed64(data)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return tandem.Errorf(tandem.Invalid, op, "the %s of the SentencePiece model is malformed: %w", message, protowire.ParseError(n))
		}
		data = data[n:]
		if err := do(number, f); err != nil {
			return err
		}
	}
	return nil
}

// pieces is SentencePiece's decoder: space symbols become spaces, the one that normalization prepended
// goes, runs of bytes become characters, each byte that is none U+FFFD.
type pieces struct {
	space           string
	dropFirst       bool // the first piece's space symbol was prepended
	dropAll         bool // … and so are those of pieces after it that are nothing else
	unk, unkSurface string
	held            []byte // bytes of byte pieces
	begun           bool   // a text, even an empty one, stands before
}

func (d *pieces) push(in []string, last bool) []string {
	var out []string
	flush := func(all bool) {
		n := len(d.held)
		if !all {
			n = wholeCharacters(d.held)
		}
		if n > 0 {
			out = append(out, eachByte(d.held[:n]))
			d.held = append(d.held[:0], d.held[n:]...)
			d.begun = true
		}
	}
	for _, p := range in {
		if b, ok := parseByteToken(p); ok {
			d.held = append(d.held, b)
			continue
		}
		flush(true)
		switch {
		case p == d.unk && p != "":
			p = d.unkSurface
		case !d.begun && d.dropFirst:
			had := strings.HasPrefix(p, d.space)
			p = strings.ReplaceAll(strings.TrimPrefix(p, d.space), d.space, " ")
			if had && !d.dropAll {
				d.begun = true
			}
		default:
			p = strings.ReplaceAll(p, d.space, " ")
		}
		if p != "" {
			d.begun = true
		}
		out = append(out, p)
	}
	flush(last)
	return out
}

// eachByte writes U+FFFD for each byte of b that is not part of a character.
func eachByte(b []byte) string {
	var s strings.Builder
	for _, r := range string(b) {
		s.WriteRune(r)
	}
	return s.String()
}

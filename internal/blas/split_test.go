package blas

import "testing"

func TestGridCoversTheResultWithEvenTiles(t *testing.T) {
	for _, c := range []struct{ m, n, k, tiles int }{
		{4096, 864, 288, 16},
		{1536, 288, 4096, 4}, // few tiles are worth more than small ones
		{288, 288, 4096, 4},
		{1, 32000, 4096, 16},
		{4096, 1, 1024, 4}, // 2 MFLOP a tile at least
		{64, 64, 64, 1},
		{1, 1, 1, 1},
	} {
		g := gridFor(c.m, c.n, c.k)
		if g.rows*g.cols != c.tiles {
			t.Errorf("[%d, %d]·%d is cut in %d×%d tiles, want %d", c.m, c.n, c.k, g.rows, g.cols, c.tiles)
		}
		if g.rows*g.tileRows < c.m || (g.rows-1)*g.tileRows >= c.m || g.cols*g.tileCols < c.n || (g.cols-1)*g.tileCols >= c.n {
			t.Errorf("[%d, %d]: %d×%d tiles of [%d, %d] do not cover it, or some are empty", c.m, c.n, g.rows, g.cols, g.tileRows, g.tileCols)
		}
	}
}

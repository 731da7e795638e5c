package tandem

// Estimates of what computing costs beside time. No meter is read: energy follows from processor time, carbon from energy.
const (
	// WattsPerCore is what a busy core of a server draws with its share of memory, fans and power supply: some 200 to 300 W
	// for the 24 to 32 cores of a processor of these years.
	WattsPerCore = 10
	// GramsPerKilowattHour is the carbon dioxide, or what warms as much, of a kilowatt-hour from the grid: the world's
	// average of these years is 400 to 500, and Llama 2's table 2 comes to some 410 (539 t for 3.31 million hours at 400 W).
	GramsPerKilowattHour = 450
)

// Joules is the energy of so many seconds of processor time.
func Joules(cpuSeconds float64) float64 { return cpuSeconds * WattsPerCore }

// GramsCO2 is the carbon of so much energy.
func GramsCO2(joules float64) float64 { return joules / 3.6e6 * GramsPerKilowattHour }

package tape

import (
	"os"
	"os/exec"
	"testing"
)

// needs skips a test where programs are missing, unless nothing may be skipped.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("HOOKTAPE_ALL_TESTS") == "1" {
			t.Fatalf("%s is not installed, and HOOKTAPE_ALL_TESTS wants all tests", program)
		}
		t.Skipf("%s is not installed", program)
	}
}

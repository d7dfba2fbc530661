package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionInfo says which hooktape this is.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // of the source; "" when not known
	Modified bool   `json:"modified"` // the source was changed after that revision
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

// programVersion is what the Go toolchain has recorded in the program.
func programVersion() versionInfo {
	v := versionInfo{Version: "unknown", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if v.Version = build.Main.Version; v.Version == "" || v.Version == "(devel)" {
		v.Version = "devel"
	}
	for _, setting := range build.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Revision = setting.Value
		case "vcs.modified":
			v.Modified = setting.Value == "true"
		}
	}
	return v
}

func newVersion(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			v := programVersion()
			if asJSON {
				return e.printJSON(v)
			}
			_, err := fmt.Fprintf(e.stdout, "hooktape %s %s/%s %s\n", v.Version, v.OS, v.Arch, v.Go)
			return err
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

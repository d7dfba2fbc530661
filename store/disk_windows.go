package store

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// roomOnDisk is how many bytes the disk of a folder has left for us.
func roomOnDisk(folder string) (int64, error) {
	name, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return 0, err
	}
	var ours uint64
	err = windows.GetDiskFreeSpaceEx(name, &ours, nil, nil)
	return int64(ours), err
}

// diskFull says whether err came from a full disk.
func diskFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// unlock gives back the lock that bbolt has on f: closing it does.
func unlock(*os.File) error { return nil }

// hold need not do anything: a file that somebody has open can't be replaced.
func hold(string) (release func() error, err error) { return func() error { return nil }, nil }

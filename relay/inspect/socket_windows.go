package inspect

import (
	"io/fs"
	"net"
)

// listenPrivate relies on the folder: on Windows a socket file has the access list
// of its folder, and the user's folders are private.
func listenPrivate(path string) (net.Listener, error) { return net.Listen("unix", path) }

func owned(fs.FileInfo) bool { return true }

// socketFile accepts what is neither a folder nor a plain file with something in
// it: Windows shows a socket as a reparse point.
func socketFile(info fs.FileInfo) bool { return !info.IsDir() && info.Size() == 0 }

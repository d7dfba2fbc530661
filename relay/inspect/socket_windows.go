package inspect

import (
	"io/fs"
	"net"
)

// listenPrivate relies on the folder: on Windows a socket file has the access
// list of the folder it is in, and the user's folders are the user's.
func listenPrivate(path string) (net.Listener, error) { return net.Listen("unix", path) }

func owned(fs.FileInfo) bool { return true }

// socketFile takes what is neither a folder nor a plain file with something in
// it: Windows shows a socket as a reparse point.
func socketFile(info fs.FileInfo) bool { return !info.IsDir() && info.Size() == 0 }

package wire

type pool struct{}

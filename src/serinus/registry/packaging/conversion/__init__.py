"""A fitted model of each library -> an ONNX graph as the gateway's runtime takes it."""

"""The command lines: of a flow file and of flowsdk itself."""

from resiliparse.parse.encoding import bytes_to_str, detect_encoding
def decode(data, charset):
    return bytes_to_str(data, detect_encoding(data))

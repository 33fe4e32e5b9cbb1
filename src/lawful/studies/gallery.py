"""placeholder"""
def write_gallery(root, skipped): pass

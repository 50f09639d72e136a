"""TIFF tags and their values, as reading and writing share them."""

NONE, LZW, DEFLATE, OLD_DEFLATE = 1, 5, 8, 32946
PACKBITS, LZMA, ZSTD = 32773, 34925, 50000
DIFFERENCE, FLOAT_DIFFERENCE = 2, 3

WRITABLE = {code: code for code in (NONE, LZW, DEFLATE, PACKBITS, LZMA, ZSTD)}
"""Lossless compressions, and what each is written as."""
WRITABLE[OLD_DEFLATE] = DEFLATE

DESCRIPTION, XMP, IPTC, PHOTOSHOP, ICC = 270, 700, 33723, 34377, 34675

# Tags that describe the image and stay true of its colorized copy: DocumentName,
# ImageDescription, Make, Model, PageName, XPosition, YPosition, PageNumber, Software, DateTime,
# Artist, HostComputer, Copyright, IPTC, GeoTIFF, Windows' XP*, GDAL's metadata and "no data".
KEPT = {269, DESCRIPTION, 271, 272, 285, 286, 287, 297, 305, 306, 315, 316, 33432, IPTC}
KEPT |= {33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113, 50844}
KEPT |= set(range(40091, 40096))

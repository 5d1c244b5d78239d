/*
 * The first sector of a disk that scripts/vmlib/disk.py writes: loads what the list in the sectors behind it names, and
 * enters it as a multiboot 1 loader does.
 *
 * Nothing is looked up here: the list says which sectors go where, and has the multiboot information ready but for the
 * memory map, which only the firmware knows. Pieces of zeros are not on the disk: an emulated machine's memory starts as
 * zeros. The disk is read through its data port, 32 bits at a time, as the firmware's own calls cannot reach beyond 1 MiB.
 *
 * Spec: "Multiboot Specification version 0.6.96": Machine state, Boot information format; ACPI "INT 15H, E820H"; AT
 * Attachment "PIO data-in command protocol".
 */

#define LOADER       0x7c00
#define LIST         0x8000 /* to 0xffff at most: LIST_SECTORS of scripts/vmlib/disk.py */
#define LIST_SECTORS 16
#define MAP          0x1000

/* The list: what EAX and EBX hold at the entry, the entry, then pieces until one of no sectors. */
#define LIST_MAGIC   (LIST)
#define LIST_INFO    (LIST + 4)
#define LIST_ENTRY   (LIST + 8)
#define LIST_PIECES  (LIST + 12)
#define PIECE_FROM   0
#define PIECE_COUNT  4
#define PIECE_TO     8
#define PIECE_BYTES  12

#define INFO_MAP_BYTES 44

#define MAP_BYTES    20 /* of one entry, behind its size */
#define MAP_SIGNATURE 0x534d4150

#define SYSTEM_CONTROL 0x92
#define A20          0x02
#define RESET        0x01

#define DISK_DATA    0x1f0
#define DISK_COUNT   0x1f2
#define DISK_STATUS  0x1f7
#define DISK_CONTROL 0x3f6
#define NO_INTERRUPT 0x02
#define LBA          0xe0
#define BUSY         0x80
#define DATA_READY   0x08
#define READ_SECTORS 0x20
#define READ_MOST    256 /* sectors that one command reads; its count says 0 for them */
#define SECTOR_WORDS 128

    .code16
    .text
    .globl start
start:
    cli
    cld
    xor %ax, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $LOADER, %sp

    mov $(MAP + 4), %di
    xor %ebx, %ebx
next_region:
    mov $0xe820, %eax
    mov $MAP_BYTES, %ecx
    mov $MAP_SIGNATURE, %edx
    int $0x15
    jc map_known
    cmp $MAP_SIGNATURE, %eax
    jne map_known
    movl $MAP_BYTES, -4(%di)
    add $(MAP_BYTES + 4), %di
    test %ebx, %ebx
    jnz next_region
map_known:
    movzwl %di, %ebp
    sub $(MAP + 4), %ebp

    in $SYSTEM_CONTROL, %al
    or $A20, %al
    and $~RESET, %al
    out %al, $SYSTEM_CONTROL
    lgdtl gdt_register
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmp $(gdt_code - gdt), $protected

    .code32
protected:
    mov $(gdt_data - gdt), %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $DISK_CONTROL, %edx
    mov $NO_INTERRUPT, %al
    out %al, %dx

    mov $1, %ebx
    mov $LIST_SECTORS, %ecx
    mov $LIST, %edi
    call read
    mov $LIST_PIECES, %esi
next_piece:
    mov PIECE_COUNT(%esi), %ecx
    jecxz loaded
    mov PIECE_FROM(%esi), %ebx
    mov PIECE_TO(%esi), %edi
    add $PIECE_BYTES, %esi
    call read
    jmp next_piece
loaded:
    mov LIST_MAGIC, %eax
    mov LIST_INFO, %ebx
    mov %ebp, INFO_MAP_BYTES(%ebx)
    jmp *LIST_ENTRY

/* Read ECX sectors from sector EBX of the disk on to EDI. Keeps ESI and EBP. */
read:
    push %esi
    mov %ecx, %esi
next_command:
    call ready
    mov $DISK_COUNT, %edx
    mov %esi, %eax
    cmp $READ_MOST, %eax
    jbe 1f
    mov $READ_MOST, %eax
1:  push %eax
    out %al, %dx
    mov %ebx, %eax
    inc %edx
    out %al, %dx
    shr $8, %eax
    inc %edx
    out %al, %dx
    shr $8, %eax
    inc %edx
    out %al, %dx
    mov $LBA, %al /* AH holds bits 24 to 31: of them only 24 to 27 are there */
    or %ah, %al
    inc %edx
    out %al, %dx
    mov $READ_SECTORS, %al
    inc %edx
    out %al, %dx
    pop %eax
    add %eax, %ebx
    sub %eax, %esi
next_sector:
    push %eax
2:  call ready
    test $DATA_READY, %al
    jz 2b
    mov $SECTOR_WORDS, %ecx
    mov $DISK_DATA, %edx
    rep insl
    pop %eax
    dec %eax
    jnz next_sector
    test %esi, %esi
    jnz next_command
    pop %esi
    ret

/* The disk's status, once it is not busy, in AL. */
ready:
    mov $DISK_STATUS, %edx
3:  in %dx, %al
    test $BUSY, %al
    jnz 3b
    ret

    .balign 8
gdt:
    .quad 0
gdt_code:
    .quad 0x00cf9b000000ffff
gdt_data:
    .quad 0x00cf93000000ffff
gdt_register:
    .word . - gdt - 1
    .long gdt

    .org 510
    .word 0xaa55

    .section .note.GNU-stack, "", @progbits
